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
  const reach = boxes => {
    for (const box of document.querySelectorAll(boxes)) if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  };
  reach("pre, .bd-article table");
  window.MathJax?.startup?.promise?.then(() => reach("mjx-container[display], .bd-article span.math"));
});

// From a disk, the search cannot read the pages that it found: it shows their titles only.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

const bookRoot = document.documentElement.dataset.content_root || "../";  // where the book begins, seen from here
const chapter = (location.pathname.match(/notebooks\/(\w+)\.html$/) || [])[1];  // none on other pages

// The first use of a term that an earlier chapter defines leads to the glossary, and shows its definition.
window.addEventListener("load", () => {
  if (!chapter || !window.glossary) return;
  // all terms are looked for, long ones first, so that "bias" is not found inside of "exposure bias"
  const terms = Object.keys(window.glossary).sort((a, b) => b.length - a.length);
  const left = new Set(terms.filter(term => window.glossary[term][1] < chapter));  // file names are in reading order
  if (!left.size) return;
  const escaped = terms.map(term => term.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const pattern = new RegExp(`(?<![\\w-])(${escaped.join("|")})(?:s|es)?(?![\\w-])`, "i");
  const names = Object.fromEntries(terms.map(term => [term.toLowerCase(), term]));
  const skip = "a, code, pre, h1, h2, h3, h4, summary, strong, mjx-container, .math, .cell_output, button";
  for (const block of document.querySelectorAll(".bd-article p, .bd-article li")) {
    const walker = document.createTreeWalker(block, NodeFilter.SHOW_TEXT);
    const texts = [];
    while (walker.nextNode()) if (!walker.currentNode.parentElement.closest(skip)) texts.push(walker.currentNode);
    for (let text of texts) {
      let found;
      while ((found = pattern.exec(text.data))) {
        const term = names[found[1].toLowerCase()];
        const rest = text.splitText(found.index);
        text = rest.splitText(found[0].length);
        if (!left.delete(term)) continue;
        const link = document.createElement("a");
        link.className = "term";
        link.href = `${bookRoot}book/glossary.html#term-${term.replace(/[^A-Za-z0-9]+/g, "-")}`;
        link.dataset.definition = window.glossary[term][0];
        link.setAttribute("aria-label", `${found[0]}: ${window.glossary[term][0]}`);
        link.textContent = found[0];
        rest.replaceWith(link);
      }
    }
  }
});

// Beside the notebook, the menu of downloads offers the chapter's code as one file.
window.addEventListener("load", () => {
  const notebook = document.querySelector("a.btn-download-source-button[href*='/notebooks/']");
  if (!chapter || !notebook) return;
  const entry = notebook.closest("li").cloneNode(true);
  const link = entry.querySelector("a");
  link.href = `${bookRoot}_static/code/${chapter}.py`;
  link.title = "Download the code only";
  link.className = "btn btn-sm btn-download-code-button dropdown-item";
  link.querySelector(".btn__text-container").textContent = ".py, code only";
  notebook.closest("li").after(entry);
});

// Each section of a chapter can be asked about: the form of the repository, with page, section and version filled in.
window.addEventListener("load", () => {
  if (!chapter || !window.book) return;
  for (const heading of document.querySelectorAll(".bd-article section > h2, .bd-article section > h3")) {
    const section = heading.firstChild.textContent.trim();
    const filled = new URLSearchParams({template: "question.yml", title: `${chapter}, ${section}: `, page: chapter,
                                        section, version: window.book.version});
    const link = document.createElement("a");
    link.className = "ask";
    link.href = `${window.book.repository}/issues/new?${filled}`;
    link.textContent = "ask";
    link.title = "Ask about this section";
    link.setAttribute("aria-label", `ask about the section ${section}`);
    heading.append(link);
  }
});

// A picture of many panels, where a live notebook has a slider (tools/panels.py): one panel at a time, if it is wanted.
window.addEventListener("load", () => {
  for (const picture of document.querySelectorAll("img[data-panels]")) {
    const panels = picture.dataset.panels.split(";").map(panel => panel.split(",").map(Number));
    const [width, height] = ["width", "height"].map(side => Number(picture.getAttribute(side)));
    const frame = [2, 3].map(side => Math.max(...panels.map(panel => panel[side])));  // as large as the largest
    const view = document.createElement("div");
    const bar = document.createElement("div");
    view.className = "panels-view";
    bar.className = "panels-bar";
    bar.innerHTML = `<button type="button" class="btn btn-sm">One at a time</button>
      <label hidden><span></span><input type="range" min="1" max="${panels.length}" value="1"></label><output hidden></output>`;
    const [button, label, place] = bar.children;
    const range = label.querySelector("input");
    label.querySelector("span").textContent = picture.dataset.turned;
    picture.replaceWith(view);
    view.append(picture);
    view.after(bar);

    const show = () => {
      const one = view.classList.contains("one");
      const [x, y, w, h] = panels[range.value - 1];
      view.style.cssText = one ? `width: ${1.7 * frame[0]}px; aspect-ratio: ${frame[0]} / ${frame[1]}` : "";
      picture.style.cssText = one ? `width: ${100 * width / frame[0]}%; left: ${100 * ((frame[0] - w) / 2 - x) / frame[0]}%;
        top: ${100 * ((frame[1] - h) / 2 - y) / frame[1]}%; clip-path: inset(${100 * y / height}%
        ${100 * (1 - (x + w) / width)}% ${100 * (1 - (y + h) / height)}% ${100 * x / width}%)` : "";
      label.hidden = place.hidden = !one;
      button.textContent = one ? "All at once" : "One at a time";
      place.textContent = `${range.value} of ${panels.length}`;
      range.setAttribute("aria-valuetext", place.textContent);
    };
    button.addEventListener("click", () => {
      view.classList.toggle("one");
      picture.loading = "eager";
      show();
      if (view.classList.contains("one")) range.focus();
    });
    range.addEventListener("input", show);
  }
});

// The notebook of a chapter's exercises can be saved from its page.
window.addEventListener("load", () => {
  const name = [...document.querySelectorAll(".bd-article p > code")].find(code => code.textContent === `exercises/${chapter}.ipynb`);
  if (!name) return;
  const link = document.createElement("a");
  link.href = `${bookRoot}_static/${name.textContent}`;
  link.download = `exercises_${chapter}.ipynb`;
  link.className = "save-exercises";
  name.replaceWith(link);
  link.append(name);
});
