// Draws towers from the bottom (texts) to the top (loss). Every text goes through textContent; colours are CSS variables.
const figure = element.querySelector(".wb-towers");
const SVG = "http://www.w3.org/2000/svg";
const GAP = 22;
const LINE = 15;
const pen = document.createElement("canvas").getContext("2d");

function draw(tag, parent, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

// Breaks at blanks; a word that is longer than the line is cut, for its whole is in the text alternative.
function wrap(text, width, font) {
  pen.font = font;
  const lines = [];
  for (const word of text.split(" ").filter(Boolean)) {
    const longer = lines.length ? `${lines[lines.length - 1]} ${word}` : word;
    if (lines.length && pen.measureText(longer).width <= width) lines[lines.length - 1] = longer;
    else {
      let shown = word;
      while (shown.length > 2 && pen.measureText(shown).width > width) shown = `${shown.slice(0, -2)}…`;
      lines.push(shown);
    }
  }
  return lines;
}

function render() {
  const value = props.value;
  figure.replaceChildren();
  figure.dataset.state = "empty";
  if (!value || !value.towers) return;
  const family = getComputedStyle(figure).fontFamily;
  const [strong, plain] = [`600 13px ${family}`, `12px ${family}`];
  const count = value.towers.length;
  const scroller = document.createElement("div");
  scroller.className = "wb-towers-scroll";
  figure.append(scroller);
  const tower = Math.max(96, Math.min(200, (scroller.clientWidth - GAP * (count - 1) - 20) / count));
  const inner = tower * count + GAP * (count - 1);
  const width = inner + 20;
  const left = (place) => 10 + place * (tower + GAP);
  const middle = (place) => left(place) + tower / 2;

  const svg = draw("svg", scroller, { role: "img", "aria-label": value.text, width, class: value.broken ? "wb-broken" : "" });
  let y = 2;

  function lines(group, x, top, title, detail, anchor = "middle") {
    title.forEach((text, index) => draw("text", group, { x, y: top + index * LINE, "text-anchor": anchor, class: "wb-t-strong" }, text));
    detail.forEach((text, index) => draw("text", group, { x, y: top + (title.length + index) * LINE, "text-anchor": anchor, class: "wb-t" }, text));
  }
  const wire = (x1, y1, x2, y2) => draw("path", svg, { d: `M${x1} ${y1} C ${x1} ${(y1 + y2) / 2}, ${x2} ${(y1 + y2) / 2}, ${x2} ${y2}`, class: "wb-t-wire" });
  function box(x, top, across, title, detail, className) {
    const height = (title.length + detail.length) * LINE + 16;
    draw("rect", svg, { x, y: top, width: across, height, rx: 6, class: className });
    lines(svg, x + across / 2, top + 20, title, detail);
    return height;
  }

  // The loss, and what is made of the vectors.
  const target = value.loss.target ? [`compared with the ${value.loss.target} of the row`] : [];
  const formula = wrap(value.loss.formula, inner - 24, plain);
  y += box(10, y, inner, [value.loss.name], [...target, ...formula], "wb-t-loss");
  for (const join of value.joins) {
    draw("path", svg, { d: `M${width / 2} ${y + 20} V${y}`, class: "wb-t-wire" });
    y += 20;
    const words = wrap(join, inner - 24, plain);
    y += box(10, y, inner, [], words, "wb-t-join");
  }
  if (value.candidates.length) y = matrix(y + 8);
  const top = y;
  y += 30;

  // u, v, w.
  value.towers.forEach((each, place) => {
    wire(middle(place), y, value.candidates.length || count === 1 ? middle(place) : middle(place) + (width / 2 - middle(place)) * 0.35, top);
    draw("circle", svg, { cx: middle(place), cy: y + 15, r: 15, class: "wb-t-vector" });
    draw("text", svg, { x: middle(place), y: y + 19.5, "text-anchor": "middle", class: "wb-t-name" }, each.name);
  });
  y += 30;

  // The towers, the last layer on top.
  const frame = draw("rect", svg, { x: 1, width: width - 2, rx: 10, class: "wb-t-shared" });
  const frameTop = y + 10;
  let first = true;
  for (const layer of [...value.layers].reverse()) {
    const title = wrap(layer.title, tower - 12, strong);
    const detail = layer.detail ? wrap(layer.detail, tower - 12, plain) : [];
    const gap = first ? 44 : 32;
    let height = 0;
    value.towers.forEach((each, place) => {
      draw("path", svg, { d: `M${middle(place)} ${y + gap} V${y}`, class: "wb-t-wire" });
      draw("text", svg, { x: middle(place), y: y + gap - 11, "text-anchor": "middle", class: "wb-t-width" }, layer.out);
      height = box(left(place), y + gap, tower, title, detail, layer === value.layers[0] ? "wb-t-box wb-t-encoder" : "wb-t-box");
      if (place) draw("path", svg, { d: `M${left(place) - GAP} ${y + gap + height / 2} H${left(place)}`, class: "wb-t-same" });
    });
    if (first && count > 1) draw("text", svg, { x: left(1) - GAP / 2, y: y + 26, "text-anchor": "middle", class: "wb-t-note" }, "shared weights");
    y += gap + height;
    first = false;
  }
  frame.setAttribute("y", frameTop);
  frame.setAttribute("height", y + 10 - frameTop);
  value.towers.forEach((each, place) => {
    draw("path", svg, { d: `M${middle(place)} ${y + 30} V${y}`, class: "wb-t-text-wire" });
    draw("rect", svg, { x: left(place), y: y + 30, width: tower, height: 28, rx: 14, class: "wb-t-text" });
    draw("text", svg, { x: middle(place), y: y + 48, "text-anchor": "middle", class: "wb-t" }, each.role);
  });
  y += 60;
  svg.setAttribute("height", y);
  svg.setAttribute("viewBox", `0 0 ${width} ${y}`);

  // Each u against all candidates of the batch; the right ones are on the diagonal.
  function matrix(from) {
    const [size, rows] = [16, 4];
    const columns = rows * value.candidates.length;
    const x0 = width / 2 - (columns * size) / 2;
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        draw("rect", svg, { x: x0 + column * size + 1, y: from + 16 + row * size, width: size - 2, height: size - 2, rx: 2, class: row === column ? "wb-t-hit" : "wb-t-miss" });
      }
    }
    draw("text", svg, { x: x0 - 8, y: from + 16 + (rows * size) / 2 + 4, "text-anchor": "end", class: "wb-t-name" }, value.towers[0].name);
    value.candidates.forEach((name, index) => draw("text", svg, { x: x0 + (index + 0.5) * rows * size, y: from + 11, "text-anchor": "middle", class: "wb-t-name" }, name));
    return from + 18 + rows * size;
  }

  const caption = document.createElement("figcaption");
  caption.textContent = value.caption;
  figure.append(caption);
  figure.dataset.state = value.broken ? "broken" : "ready";
  figure.dataset.towers = String(count);
}

let wide = 0;
new ResizeObserver(() => {
  if (Math.abs(figure.clientWidth - wide) < 2) return;
  wide = figure.clientWidth;
  render();
}).observe(figure);
watch("value", render);
render();
