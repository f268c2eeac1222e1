// Parts of a page that show tokens and cells: choice of a quantity, scale of its values, equations with their numbers.
"use strict";

const JOINERS = /[\u200d\ufe00-\ufe0f]/g; // of emoji
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\u00a0]/gu;

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function tableRow(...cells) {
  return element("tr", {}, ...cells.map((cell) => element("td", {}, cell)));
}

// Returns a token as a person can see it: what is invisible, or would turn the text around it, as its code point.
function visible(token, kind) {
  if (kind === "end") return "⏎";
  if (kind === "boundary") return "│";
  return token
    .replace(/\n/g, "↵")
    .replace(JOINERS, "◌")
    .replace(HIDDEN, (character) => `[U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}]`);
}

// Returns a labelled radio button for each quantity; the first one is chosen.
function quantityChoice(trace, group, onChoose) {
  return trace.quantities.map((quantity, n) => {
    const input = element("input", { type: "radio", name: `quantity ${group}`, value: quantity, checked: n === 0 });
    input.addEventListener("change", () => onChoose(quantity));
    const label = element("label", {}, input, quantity);
    document.addEventListener("labelled", () => (label.title = text(`name_${quantity}`)));
    return label;
  });
}

// Draws the shades of a scale, and writes its lowest, middle and highest value into the elements after it.
function drawScale(canvas, low, high) {
  [canvas.width, canvas.height] = [256, 1];
  const image = new ImageData(256, 1), outputs = canvas.parentElement.querySelectorAll("output");
  for (let n = 0; n < 256; n++) image.data.set([...shade(n / 255), 255], 4 * n);
  canvas.getContext("2d").putImageData(image, 0, 0);
  [low, (low + high) / 2, high].forEach((value, n) => (outputs[n].textContent = number(value)));
}

// Returns a table row for each of `Trace.equations`.
function equationRows(equations, quantity) {
  return equations.map(({ name, formula, numbers, value }) => {
    const second = numbers ? [element("br"), `= ${numbers}`] : [];
    return element("tr", { className: name === quantity ? "shown" : "" },
      element("td", {}, name),
      element("td", {}, `= ${formula}`, ...second, element("small", {}, text(`name_${name}`))),
      element("td", {}, value));
  });
}
