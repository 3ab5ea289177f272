// At the counter: the amount is ready to be typed over, and the change is shown while cash is keyed.
for (const input of document.querySelectorAll("[data-all]")) input.select();
for (const form of document.querySelectorAll("[data-change]")) {
  const out = form.querySelector("[data-change-out]");
  const cents = (name) => Math.round(Number(form.elements[name].value.replaceAll(",", "")) * 100);
  form.addEventListener("input", () => {
    const back = cents("given") - cents("amount");
    out.textContent = form.elements.given.value && back >= 0 ? (back / 100).toFixed(2) : "–";
  });
}
