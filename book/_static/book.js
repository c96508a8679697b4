// Small mends of the theme, for readers who use a keyboard or a screen reader.
window.addEventListener("load", () => {
  // what is heard must contain what is seen
  document.querySelectorAll("summary[aria-label]").forEach(element => element.removeAttribute("aria-label"));
  for (const button of document.querySelectorAll("button[aria-label]")) {
    const name = button.getAttribute("aria-label");
    const words = button.classList.contains("theme-switch-button") ? "Light Dark System Settings"  // icons drawn later
      : button.textContent.trim().replace(/\s+/g, " ");
    if (!name.includes(words)) button.setAttribute("aria-label", `${name}: ${words}`);
  }
  // entries of the bibliography are items of its list
  for (const list of document.querySelectorAll(".citation-list")) {
    list.querySelectorAll(".citation").forEach(entry => entry.setAttribute("role", "listitem"));
    list.querySelectorAll("a.headerlink, :scope > a").forEach(anchor => anchor.remove());
  }
  // what scrolls inside its box can be scrolled with the keys
  for (const box of document.querySelectorAll("pre, .bd-article table")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
});
