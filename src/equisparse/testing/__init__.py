"""Law suites for any method and any backbone: for the tests of this package and of packages that extend it."""
