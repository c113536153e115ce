/* Names and keyboard access that the theme leaves out. */
document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
for (const part of document.querySelectorAll("nav[aria-labelledby]")) {
  part.setAttribute("aria-label", part.querySelector(".md-nav__title").textContent.trim());
  part.removeAttribute("aria-labelledby"); // a label that is not shown names nothing
}
const complete = () => {
  for (const buttons of document.querySelectorAll(".md-code__nav")) buttons.setAttribute("role", "none");
  for (const box of document.querySelectorAll("pre > code, .md-typeset__scrollwrap")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
};
addEventListener("load", () => {
  complete();
  new MutationObserver(complete).observe(document.querySelector("main"), { childList: true, subtree: true });
});
addEventListener("resize", complete);
