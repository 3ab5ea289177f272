// The counter beside a text: the server counts, with the code that cuts texts for the gateways.
for (const line of document.querySelectorAll("[data-counts]")) {
  const area = document.getElementById(line.dataset.counts);
  const shown = document.getElementById(line.dataset.preview ?? "");
  const wrong = document.getElementById(line.dataset.problems ?? "");
  let timer, asked = 0;
  const ask = async () => {
    const turn = ++asked;
    const body = new URLSearchParams({ csrf_token: area.form.elements.csrf_token.value, text: area.value, event: line.dataset.event, language: line.dataset.language });
    const answer = await fetch(line.dataset.url, { method: "POST", body }).catch(() => null);
    if (turn !== asked || !answer?.ok) return;
    const said = await answer.json();
    line.textContent = said.line;
    if (shown) shown.textContent = said.text;
    if (wrong) wrong.replaceChildren(...said.problems.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  };
  area.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 200); });
  if (area.value) ask();
}
