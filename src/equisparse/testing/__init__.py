"""Law suites for methods and backbones, for the tests of this package and of packages that extend it."""
