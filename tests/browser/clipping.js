// What of the page's own words and numbers is cut off, or stands outside of the window: a line each.
() => {
  const found = new Set();
  const parts = [
    ".ticket .amount, .terms dd, .held > span, .ticket .primary, .token-button span, .row > *, .venues td, .venues th",
    ".kinds label span, .price-words > *, .term-head > *, .open-line > *, .open-legs span, .open-buttons button",
    ".facts dd, .top *, .panel-head > *, .net dd, .step-what, .question *, .choice-held",
  ];
  for (const one of document.querySelectorAll(parts.join())) {
    if (one.closest(".unseen") || !one.getClientRects().length) continue;
    const { display, overflowX } = getComputedStyle(one);
    const said = `${one.className}: ${one.textContent.slice(0, 60)}`;
    const isCut = display !== "inline" && overflowX !== "visible" && one.scrollWidth > one.clientWidth + 1;
    if (isCut) found.add(`cut off, ${said}`);
    const scrolls = one.closest(".fills-view, .as-table-view");
    if (!scrolls && one.getBoundingClientRect().right > innerWidth + 1) found.add(`outside, ${said}`);
  }
  if (document.documentElement.scrollWidth > innerWidth) found.add("the page scrolls sideways");
  return [...found];
}
