/* Names and keyboard access that the theme leaves out. */
const search = document.querySelector(".md-search");
if (search) search.setAttribute("aria-label", "Search");
for (const folded of document.querySelectorAll("nav.md-nav[data-md-level]:not([data-md-level='0'])")) {
  folded.setAttribute("role", "group"); // parts of one navigation are no landmarks of their own
}
const reachable = () => {
  for (const box of document.querySelectorAll("pre > code, .md-typeset__scrollwrap")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
};
addEventListener("load", () => setTimeout(reachable)); // after the theme has wrapped tables
addEventListener("resize", reachable);
