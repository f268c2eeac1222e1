// The page of gates: a view for each model. The views share the place in the text and the selected part of it.
"use strict";

const data = JSON.parse($("data").textContent);
const views = data.models.map((model, number) => new View(model, data.features, number));

// Moves all views to the place of a token of one of them; a token without text, a word boundary, is in this one alone.
function setPlace(view, t) {
  for (const each of views) {
    if (each === view) each.t = t;
    else if (view.model.texts[t]) each.t = each.tokenAt(view.start(t));
    each.showPlace();
    each.drawMap();
  }
}

// Selects in all views the text of the tokens [from, to) of one of them; null: nothing.
function setStretch(view, stretch) {
  const [from, to] = stretch ? [view.start(stretch[0]), view.ends[stretch[1] - 1]] : [0, 0];
  for (const each of views) {
    each.stretch = each === view ? stretch : to > from ? [each.tokenAt(from), each.tokenAt(to - 1) + 1] : null;
    showStretch(each);
    each.sort();
  }
}

document.addEventListener("selectionchange", () => {
  const selection = getSelection();
  if (selection.isCollapsed) return;
  const { startContainer, startOffset, endContainer, endOffset } = selection.getRangeAt(0);
  for (const view of views) {
    const [first, last] = [startContainer, endContainer].map((node) => view.places.get(node.parentElement));
    if (first === undefined || last === undefined) continue;
    const from = first + (startOffset === startContainer.length), to = last + (endOffset > 0);
    if (to > from) setStretch(view, [from, to]);
  }
});
document.addEventListener("labelled", () => views.forEach((view) => view.show()));
DARK.addEventListener("change", () => views.forEach((view) => view.choose({})));
startLabels();
setPlace(views[0], views[0].t);
