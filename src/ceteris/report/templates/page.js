// What a reader can do on the page: sort, filter and copy tables, switch figures between models, look at single mistakes and
// blocks. Without it all tables and figures are there. Names only ever become text, never markup.
"use strict";
(() => {
const study = JSON.parse(document.getElementById("study").textContent);
const all = (query, place = document) => [...place.querySelectorAll(query)];
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const clipped = (text, limit = 40) => (text.length > limit ? `${text.slice(0, limit)}…` : text);

function make(tag, attributes = {}, ...parts) {
  const drawing = ["svg", "polyline", "text", "circle"].includes(tag);
  const element = drawing ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...parts);
  return element;
}

const said = make("div", { class: "unseen", role: "status" }); // read out by screen readers
document.body.append(said);
const say = (text) => { said.textContent = text; };

// ---- tables: sort, filter, copy -----------------------------------------------------------------------------------------

const collator = new Intl.Collator("en", { numeric: true });

function value(cell) {
  if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
  const text = cell.textContent.trim();
  return text === "–" || text === "" ? null : text;
}

function compare(one, other) {
  if (one === null || other === null) return (one === null) - (other === null);
  return typeof one === "number" && typeof other === "number" ? one - other : collator.compare(one, other);
}

function sortable(table, rows) {
  const body = table.tBodies[0];
  all("thead th", table).forEach((head, place) => {
    const sort = () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" }[head.getAttribute("aria-sort") || "none"];
      all("thead th", table).forEach((other) => other.removeAttribute("aria-sort"));
      const sorted = [...rows];
      if (next !== "none") {
        head.setAttribute("aria-sort", next);
        const sign = next === "ascending" ? 1 : -1;
        const keyed = rows.map((row) => [value(row.cells[place]), row]);
        keyed.sort(([one], [other]) => (one === null || other === null ? compare(one, other) : sign * compare(one, other)));
        sorted.splice(0, rows.length, ...keyed.map(([, row]) => row));
      }
      body.append(...sorted);
      say(`${head.textContent}: ${next === "none" ? "in the order of the report" : next}`);
    };
    head.replaceChildren(make("button", { type: "button", onclick: sort }, ...head.childNodes));
  });
}

function filter(rows, name) {
  const count = make("span");
  const apply = (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    rows.forEach((row) => { row.hidden = !row.textContent.toLowerCase().includes(wanted); });
    const left = rows.filter((row) => !row.hidden).length;
    count.textContent = wanted ? `${left} of ${rows.length} rows` : "";
    say(count.textContent);
  };
  return [make("input", { type: "search", placeholder: "filter rows", "aria-label": `Filter the rows of: ${name}`, oninput: apply }), count];
}

const cells = (table) => all("tr", table).filter((row) => !row.hidden)
  .map((row) => [...row.cells].map((cell) => cell.textContent.trim()));
const TEX = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}", ">": "\\textgreater{}",
  "−": "$-$", "±": "$\\pm$", "×": "$\\times$", "·": "$\\cdot$", "–": "--", "…": "\\dots{}", "|": "\\textbar{}" };
const tex = (text) => text.replace(/[\\~^<>−±×·–…|]|[&%$#_{}]/g, (mark) => TEX[mark] || `\\${mark}`);
const csv = (text) => {
  const safe = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text; // no formula of a spreadsheet
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};
const FORMS = {
  LaTeX: (table) => {
    const [head, ...rows] = cells(table).map((row) => `${row.map(tex).join(" & ")} \\\\`);
    const sides = all("thead th", table).map((cell) => (cell.classList.contains("n") ? "r" : "l")).join("");
    return ["\\begin{tabular}{" + sides + "}", "\\toprule", head, "\\midrule", ...rows, "\\bottomrule", "\\end{tabular}"].join("\n");
  },
  CSV: (table) => cells(table).map((row) => row.map(csv).join(",")).join("\n"),
  Markdown: (table) => {
    const lines = cells(table).map((row) => `| ${row.map((text) => text.replace(/[\\|`*_<[\]]/g, "\\$&")).join(" | ")} |`);
    const rule = all("thead th", table).map((cell) => (cell.classList.contains("n") ? "---:" : "---"));
    return [lines[0], `| ${rule.join(" | ")} |`, ...lines.slice(1)].join("\n");
  },
};

async function copy(text, name) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // not allowed here: the way of before
    const area = make("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say(`copied as ${name}`);
}

all(".scroll > table").forEach((table) => {
  const rows = [...table.tBodies[0].rows];
  const name = table.parentElement.getAttribute("aria-label");
  const numbers = table.querySelector("td.n") !== null;
  if (rows.length > 2 && (numbers || rows.length > 12)) sortable(table, rows);
  const tools = make("div", { class: "tools" }, ...(rows.length > 8 ? filter(rows, name) : []));
  for (const [form, write] of Object.entries(FORMS)) {
    const done = (event) => {
      copy(`${write(table)}\n`, form);
      event.target.textContent = "copied";
      setTimeout(() => { event.target.textContent = form; }, 1500);
    };
    tools.append(make("button", { type: "button", "aria-label": `Copy as ${form}: ${name}`, onclick: done }, form));
  }
  table.parentElement.after(tools);
});

// ---- figures: one model at a time ---------------------------------------------------------------------------------------

all(".variants").forEach((group) => {
  const figures = all("figure", group);
  const bar = make("div", { class: "tools", role: "group", "aria-label": "Show the figure of" });
  const show = (shown) => {
    figures.forEach((figure) => { figure.hidden = shown !== null && figure !== shown; });
    all("button", bar).forEach((button, place) => button.setAttribute("aria-pressed", String((figures[place] || null) === shown)));
  };
  for (const figure of [...figures, null]) {
    bar.append(make("button", { type: "button", onclick: () => show(figure) }, figure ? clipped(figure.dataset.title) : "all"));
  }
  group.prepend(bar);
  show(figures[0]);
});

// ---- figures: what a pointer is at --------------------------------------------------------------------------------------

const tip = make("div", { class: "tip", hidden: "" });
document.body.append(tip);

function tell(x, y, ...parts) {
  tip.replaceChildren(...parts);
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - box.width - 4))}px`;
  tip.style.top = `${y + 18 + box.height > innerHeight ? Math.max(4, y - box.height - 12) : y + 18}px`;
}
const quiet = () => { tip.hidden = true; };
document.addEventListener("keydown", (event) => { if (event.key === "Escape") quiet(); });
document.addEventListener("scroll", quiet, { passive: true });

// From the screen to the numbers of a panel's axes, null outside of it, and back.
function numbers(svg, { box: [left, top, width, height], x, y }, event) {
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  const [across, down] = [(at.x - left) / width, (at.y - top) / height];
  if (across < 0 || across > 1 || down < 0 || down > 1) return null;
  return [x[0] + across * (x[1] - x[0]), y[0] + down * (y[1] - y[0])];
}
function onScreen(svg, { box: [left, top, width, height], x, y }, across, down) {
  const at = new DOMPoint(left + ((across - x[0]) / (x[1] - x[0])) * width, top + ((down - y[0]) / (y[1] - y[0])) * height);
  return at.matrixTransform(svg.getScreenCTM());
}

// ---- the mistakes behind a cell of a confusion matrix -------------------------------------------------------------------

function tile(place, scale, label, kind = "tile") {
  const [wide, high] = study.sheet.tile, across = study.sheet.across;
  const [row, column] = [Math.floor(place / across), place % across];
  const style = `width:${wide * scale}px;height:${high * scale}px;background-size:${wide * across * scale}px auto;` +
    `background-position:${-column * wide * scale}px ${-row * high * scale}px`;
  const shown = make("span", { class: kind, role: "img", "aria-label": label });
  shown.style.cssText = style;
  return shown;
}

function mistakes(figure, svg, panel, { title, counts, wrong, heat }) {
  const MOST = 60, scale = Math.max(1, Math.round(64 / Math.max(...study.sheet.tile)));
  const list = make("ul", { class: "tiles" }), count = make("p", { class: "why" });
  const choice = (label) => {
    const select = make("select", { "aria-label": `${label} class, ${title}`, onchange: () => show() }, make("option", { value: "" }, `any ${label}`));
    study.classes.forEach((name, place) => select.append(make("option", { value: place }, clipped(name))));
    return select;
  };
  const [trueClass, given] = [choice("true"), choice("predicted")];
  // Where the image speaks for the predicted class, and where for the true one, for the mistakes that were looked into.
  const maps = (index, name, named) => (heat[index] || []).map((place, way) =>
    tile(place, scale, `Grad-CAM for ${way ? "the true class" : "the predicted class"} ${way ? name : named}`, "tile heat"));
  function show() {
    const fits = (select, place) => select.value === "" || Number(select.value) === place;
    const found = wrong.filter(([, , truth, answer]) => fits(trueClass, truth) && fits(given, answer));
    let total = 0;
    counts.forEach((row, truth) => row.forEach((number, answer) => {
      if (truth !== answer && fits(trueClass, truth) && fits(given, answer)) total += number;
    }));
    list.replaceChildren(...found.slice(0, MOST).map(([place, index, truth, answer, pTrue, pGiven]) => {
      const [name, named] = [study.classes[truth], study.classes[answer]].map((text) => clipped(text));
      const said = [`test image ${index}`, make("br"), `“${named}” ${percent(pGiven)}`, make("br"), `true: “${name}” ${percent(pTrue)}`];
      return make("li", {}, tile(place, scale, `Test image ${index}: true ${name}, predicted ${named}`), ...maps(index, name, named), make("br"), ...said);
    }));
    const kept = found.length === total ? "" : `; the pictures of ${found.length} are kept`;
    count.textContent = `${title}: ${total} ${total === 1 ? "mistake" : "mistakes"}${kept}${found.length > MOST ? `; the ${MOST} most confident are shown` : ""}.`;
    say(count.textContent);
  }
  const bar = make("div", { class: "tools" }, "Mistaken test images: ", trueClass, given);
  figure.append(make("div", { class: "mistakes" }, bar, count, list));
  count.textContent = "Click a cell of the matrix, or choose classes, to see its test images.";
  const cell = (event) => numbers(svg, panel, event)?.map((number) => Math.min(study.classes.length - 1, Math.max(0, Math.round(number))));
  svg.addEventListener("click", (event) => {
    const at = cell(event);
    if (at) [given.value, trueClass.value] = at;
    if (at) show();
  });
  svg.addEventListener("pointermove", (event) => {
    const at = cell(event);
    svg.classList.toggle("pick", Boolean(at));
    if (!at) return quiet();
    const [answer, truth] = at;
    tell(event.clientX, event.clientY, `true “${clipped(study.classes[truth])}”, predicted “${clipped(study.classes[answer])}”: ${counts[truth][answer]}`);
  });
  svg.addEventListener("pointerleave", quiet);
}

// ---- the block behind a point of a comparison ---------------------------------------------------------------------------

function drawn(curves, block) {
  const known = curves.flat().filter((number) => number !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)], last = Math.max(...curves.map((curve) => curve.length)) - 1;
  const at = (number, epoch) => `${34 + (epoch / Math.max(1, last)) * 230},${78 - ((number - low) / (high - low || 1)) * 66}`;
  const line = (curve, place) => make("polyline", { class: place === block ? "this" : "", points:
    curve.map((number, epoch) => (number === null ? "" : at(number, epoch))).filter(Boolean).join(" ") });
  const order = curves.map((_, place) => place).filter((place) => place !== block);
  return make("svg", { viewBox: "0 0 272 96" }, ...[...order, block].map((place) => line(curves[place], place)),
    make("text", { x: 0, y: 15 }, percent(high)), make("text", { x: 0, y: 80 }, percent(low)),
    make("text", { x: 34, y: 93 }, "epoch 1"), make("text", { x: 264, y: 93, "text-anchor": "end" }, String(last + 1)));
}

function blocks(svg, panel, { folds, title, levels }) {
  const points = levels.flatMap((level) => level.accuracies.map((accuracy, block) => ({ level, accuracy, block, x: 100 * accuracy, y: level.y })))
    .filter(({ accuracy, x }) => accuracy !== null && x >= panel.x[0] && x <= panel.x[1]);
  let now = -1;
  function show(place) {
    now = place;
    const { level, accuracy, block, x, y } = points[place];
    const where = `repetition ${Math.floor(block / folds) + 1}, fold ${(block % folds) + 1}`;
    const at = onScreen(svg, panel, x, y);
    const parts = [make("strong", {}, clipped(level.label, 80)), make("br"), `${where}: ${percent(accuracy)}`];
    if (level.curves[block]?.some((number) => number !== null)) parts.push(drawn(level.curves, block), "validation accuracy; grey: the other blocks");
    tell(at.x, at.y, ...parts);
    say(`${level.label}, ${where}: ${percent(accuracy)}`);
  }
  function nearest(event) {
    const distance = ({ x, y }) => { const at = onScreen(svg, panel, x, y); return Math.hypot(at.x - event.clientX, at.y - event.clientY); };
    const [best, place] = points.map((point, index) => [distance(point), index]).reduce((one, other) => (other[0] < one[0] ? other : one), [Infinity, -1]);
    return best < 12 ? place : -1;
  }
  svg.addEventListener("pointermove", (event) => {
    const place = nearest(event);
    svg.classList.toggle("pick", place >= 0);
    if (place < 0) quiet();
    else if (place !== now || tip.hidden) show(place);
  });
  svg.addEventListener("pointerleave", quiet);
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  const walk = make("button", { type: "button", onblur: quiet, onclick: () => show(Math.max(now, 0)), onkeydown: (event) => {
    if (!(event.key in step)) return;
    event.preventDefault();
    show((Math.max(now, -step[event.key]) + step[event.key] + points.length) % points.length);
  } }, `Points of ${clipped(title)}, one by one: arrow keys`);
  svg.closest("figure").append(make("div", { class: "tools" }, "Point at a dot to see its block and learning curve.", walk));
}

for (const [name, panels] of Object.entries(study.panels)) {
  const figure = document.getElementById(`figure-${name}`), svg = figure?.querySelector("svg");
  for (const panel of svg ? panels : []) {
    if (study.confusion[panel.name] && study.confusion[panel.name].wrong.length) mistakes(figure, svg, panel, study.confusion[panel.name]);
    if (study.blocks[panel.name]) blocks(svg, panel, study.blocks[panel.name]);
  }
}
})();
