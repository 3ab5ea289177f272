// What every page does: the search key, selects that submit, rows that open, menus that close.
const typing = (target) => target.closest("input, select, textarea, [contenteditable]");

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    for (const menu of document.querySelectorAll("details.menu[open], .more details[open]")) menu.open = false;
    if (event.target.matches("[data-search]")) event.target.blur();
    return;
  }
  if (typing(event.target)) return;
  if (event.key === "/") {
    event.preventDefault();
    document.querySelector("[data-search]")?.focus();
  } else if (event.key === "j" || event.key === "k") {
    step(event.key === "j" ? 1 : -1);
  } else if (event.key === "o" || event.key === "Enter") {
    if (event.key === "Enter" && event.target.closest("a, button, summary")) return;
    const link = document.querySelector("tr[aria-selected=true] a[data-open]");
    if (link) link.click();
  }
});

// j and k walk through the rows of a list; where the detail stands beside it, it follows.
function step(by) {
  const rows = [...document.querySelectorAll("[data-walk] tbody tr[data-row]")];
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.getAttribute("aria-selected") === "true");
  const next = rows[Math.min(Math.max(at + by, 0), rows.length - 1)];
  if (at >= 0) rows[at].removeAttribute("aria-selected");
  next.setAttribute("aria-selected", "true");
  next.scrollIntoView({ block: "nearest" });
  const link = next.querySelector("a[data-open]");
  link?.focus({ preventScroll: true });
  if (link && next.closest("[data-follow]") && matchMedia("(min-width: 1100px)").matches) location.replace(link.href);
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
});

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
  const copy = event.target.closest("[data-copy]");
  if (copy) navigator.clipboard?.writeText(copy.dataset.copy);
});

// Empty fields stay out of the address of a filter.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "get") return;
  for (const field of event.target.elements) if (field.name && !field.value) field.disabled = true;
});

// Parts that tell how things are now fetch themselves again while somebody looks at them.
for (const part of document.querySelectorAll("[data-live]")) {
  setInterval(async () => {
    if (document.hidden || part.contains(document.activeElement)) return;
    const answer = await fetch(location.href).catch(() => null);
    if (!answer?.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.getElementById(part.id);
    if (next) part.replaceChildren(...next.childNodes);
  }, 5000);
}

// On a narrow page the chip of where one is may lie outside of its row.
document.querySelector(".chips [aria-current=page]")?.scrollIntoView({ block: "nearest", inline: "center" });
