const PAPER = 680; // pixels between the margins of A4 and Letter
const page = JSON.parse(document.getElementById("data").textContent);
const views = {};
const chosen = name => (document.getElementById("filter-" + name) || { value: "" }).value;
const number = value => value.toLocaleString("en-US");
const percent = value =>
  value.toLocaleString("en-US", { style: "percent", minimumFractionDigits: 1, roundingMode: "halfEven" });
const element = (name, text, attributes = {}) => {
  const made = Object.assign(document.createElement(name), { textContent: text });
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  return made;
};

async function draw(name, values) {
  const spec = values ? { ...page.charts[name], data: { values } } : page.charts[name];
  if (views[name]) (await views[name]).finalize();
  views[name] = vegaEmbed("#chart-" + name, spec, { actions: false, renderer: "svg" }).then(made => made.view);
  await views[name];
}

function days(account, integration) {
  const found = page.days.map(([day, text]) => ({ day, text, executions: 0, failed: 0, tasks: 0, before: 0, incidents: null }));
  for (const [day, ofAccount, ofIntegration, executions, failed, tasks, before] of page.rows) {
    if (account && page.accounts[ofAccount] !== account) continue;
    if (integration && page.integrations[ofIntegration] !== integration) continue;
    found[day].executions += executions;
    found[day].failed += failed;
    found[day].tasks += tasks;
    found[day].before += before;
  }
  for (const [day, ofAccount, ofIntegration, text] of page.incidents) {
    if (account && ofAccount !== account || integration && ofIntegration !== integration) continue;
    found[day].incidents = found[day].incidents ? found[day].incidents + "; " + text : text;
  }
  return found.map(row => ({ ...row,
    "other executions": row.executions - row.failed,
    rate: row.executions ? row.failed / row.executions : null,
    before: page.compared ? row.before : null }));
}

function showDays(rows) {
  const body = document.querySelector("#days tbody");
  if (!body) return;
  body.replaceChildren(...rows.map(row => {
    const line = element("tr", "", { role: "row" });
    const executions = element("td", number(row.executions), { role: "cell", class: "number" });
    if (row.before !== null) executions.append(element("small", number(row.before)));
    line.append(
      element("th", row.day, { role: "rowheader", scope: "row" }),
      executions,
      ...[number(row.failed), row.rate === null ? "" : percent(row.rate), number(row.tasks)]
        .map(text => element("td", text, { role: "cell", class: "number" })));
    return line;
  }));
}

function showRows(account, integration) {
  for (const table of document.querySelectorAll("table[data-top]")) {
    const top = Number(table.dataset.top) || Infinity;
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const fits = (!account || !row.hasAttribute("data-account") || row.dataset.account === account)
        && (!integration || !row.hasAttribute("data-integration") || row.dataset.integration === integration);
      row.hidden = !fits || shown >= top;
      if (!row.hidden) shown += 1;
    }
    table.hidden = !shown;
    const none = table.closest("section").querySelector(".none");
    if (none) none.hidden = !!shown;
  }
}

function showHeadline(account, integration) {
  const sentences = page.headlines[account + "\n" + integration] || [page.nothing];
  document.querySelector("#headline ul").replaceChildren(...sentences.map(sentence => element("li", sentence)));
}

function showFigures(account, integration) {
  const figures = page.figures[account + "\n" + integration];
  document.querySelectorAll(".figures dd").forEach((figure, index) => {
    const [value, before] = figures ? figures[index] : ["0", ""];
    figure.querySelector("b").textContent = value || "–";
    figure.querySelector("small").textContent = before ? before + " before" : "";
  });
}

function choose() {
  const [account, integration] = [chosen("account"), chosen("integration")];
  const is_filtered = !!(account || integration);
  document.body.classList.toggle("filtered", is_filtered);
  const status = document.getElementById("filtered");
  if (status) status.textContent = is_filtered
    ? "Shown: " + [account, integration].filter(Boolean).join(", ") + " only." : "";
  showHeadline(account, integration);
  showFigures(account, integration);
  showRows(account, integration);
  if (!page.rows) return;
  const rows = days(account, integration);
  showDays(rows);
  if (page.charts.days) draw("days", is_filtered ? rows : null);
  if (page.charts.rates) draw("rates", is_filtered ? rows.filter(row => row.executions) : null);
}

document.querySelectorAll("select").forEach(select => {
  select.value = "";
  select.addEventListener("change", choose);
});
document.documentElement.dataset.drawn = "";
Promise.all(Object.keys(page.charts).map(name => draw(name))).then(() => {
  document.documentElement.dataset.drawn = "all";
});
addEventListener("beforeprint", () =>
  Object.values(views).forEach(async view => (await view).signal("width", PAPER).run()));
addEventListener("afterprint", () => dispatchEvent(new Event("resize")));
