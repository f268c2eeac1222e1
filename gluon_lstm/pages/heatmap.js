// Shades of values, and a heat map of cells by tokens on a canvas. Lightness carries the meaning.
"use strict";

// From the lowest to the highest value: away from the background of the page.
const RAMPS = {
  light: [[255, 255, 255], [214, 230, 244], [140, 188, 220], [44, 110, 173], [6, 28, 70]],
  dark: [[21, 24, 30], [22, 58, 97], [52, 116, 172], [142, 193, 232], [246, 250, 255]],
};
const DARK = matchMedia("(prefers-color-scheme: dark)");
const LEFT = 46, TOP = 26, COLUMN = 17, MAX_COLUMN = 40, ROW = 15; // pixels: numbers of cells, text above, token, cell
const MIN_WHOLE = 240, MAX_WHOLE = 512; // pixels: height of the map of the whole text

// Returns the red, green and blue of a share between 0 and 1.
function shade(share) {
  const ramp = RAMPS[DARK.matches ? "dark" : "light"], place = Math.min(Math.max(share, 0), 1) * (ramp.length - 1);
  const n = Math.min(Math.floor(place), ramp.length - 2);
  return ramp[n].map((value, k) => Math.round(value + (ramp[n + 1][k] - value) * (place - n)));
}

// Returns {background, color} of a share, with the ink that is legible on it.
function inked(share) {
  const rgb = shade(share), [r, g, b] = rgb.map((value) => (value / 255) ** 2.2);
  const luminance = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return { background: `rgb(${rgb})`, color: luminance > 0.18 ? "#000" : "#fff" };
}

class Heatmap {
  // `onPick(t, cell)` is called for the token and the cell that are clicked.
  constructor(canvas, onPick) {
    this.canvas = canvas;
    canvas.addEventListener("click", ({ offsetX, offsetY }) => {
      const { from, to, order, width, height } = this.drawn;
      const t = from + Math.floor(((offsetX - LEFT) / width) * (to - from));
      const row = Math.floor(((offsetY - TOP) / height) * order.length);
      if (t >= from && t < to && order[row] !== undefined) onPick(t, order[row]);
    });
  }

  // Draws the cells `order` (rows) at the tokens around `place`, or at all of them with `whole`. `first` and `last`: the
  // tokens that may be drawn, [first, last).
  draw({ trace, layer, quantity, order, place, cell, texts, whole, first = 0, last = trace.T }) {
    const { canvas } = this, all = canvas.clientWidth - LEFT, ratio = devicePixelRatio || 1;
    const columns = whole ? last - first : Math.min(last - first, Math.max(1, Math.floor(all / COLUMN)));
    const from = whole ? first : Math.min(Math.max(first, place - Math.floor(columns / 2)), last - columns);
    const width = whole ? all : Math.min(all, columns * MAX_COLUMN), to = from + columns;
    const height = whole ? Math.min(Math.max(order.length, MIN_WHOLE), MAX_WHOLE) : order.length * ROW;
    this.drawn = { from, to, order, width, height };
    canvas.style.height = `${TOP + height}px`;
    [canvas.width, canvas.height] = [Math.round((LEFT + all) * ratio), Math.round((TOP + height) * ratio)];
    const context = canvas.getContext("2d"), style = getComputedStyle(canvas);
    context.scale(ratio, ratio);
    context.imageSmoothingEnabled = whole;
    context.drawImage(this.image(trace, layer, quantity, order, from, to), LEFT, TOP, width, height);

    context.fillStyle = context.strokeStyle = style.color;
    context.font = `12px ${style.fontFamily}`;
    context.textBaseline = "middle";
    const row = order.indexOf(cell), rowHeight = height / order.length, columnWidth = width / columns;
    context.textAlign = "right";
    order.forEach((each, n) => {
      const name = `${each === cell ? "▸" : ""}${each}`;
      if (!whole || n === row) context.fillText(name, LEFT - 5, TOP + (n + 0.5) * rowHeight);
    });
    context.textAlign = "center";
    if (!whole)
      for (let t = from; t < to; t++)
        context.fillText(texts[t], LEFT + (t - from + 0.5) * columnWidth, TOP / 2, columnWidth);
    context.lineWidth = 2;
    context.strokeRect(LEFT + (place - from) * columnWidth, 1, Math.max(columnWidth, 2), TOP + height - 2);
    if (row >= 0) context.strokeRect(LEFT, TOP + row * rowHeight, width - 1, Math.max(rowHeight, 2));
  }

  image(trace, layer, quantity, order, from, to) {
    const image = new ImageData(to - from, order.length), values = trace.layers[layer][quantity];
    const colours = Array.from({ length: 256 }, (_, n) => shade(n / 255));
    order.forEach((cell, row) => {
      const [low, high] = trace.range(layer, quantity, cell);
      for (let t = from; t < to; t++) {
        const share = (values[t * trace.H + cell] - low) / (high - low);
        const [r, g, b] = colours[Math.min(255, Math.max(0, Math.round(255 * share)))];
        image.data.set([r, g, b, 255], 4 * (row * (to - from) + t - from));
      }
    });
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  }
}
