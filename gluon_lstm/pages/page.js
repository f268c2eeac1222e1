// What every page does: its texts in both languages, and data from base64.
"use strict";

const $ = (id) => document.getElementById(id);
const labels = JSON.parse($("labels").textContent);
const text = (key) => labels[document.documentElement.lang][key];

// Writes the texts of a language into all elements with data-label, and tells the page by the event "labelled".
function label(language) {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-label]")) element.textContent = text(element.dataset.label);
  const other = language === "ja" ? "en" : "ja";
  $("language").textContent = labels[other].name;
  $("language").lang = other;
  document.dispatchEvent(new Event("labelled"));
}

// Starts in the language of the page, else in that of the browser; the button changes it.
function startLabels() {
  $("language").addEventListener("click", () => label($("language").lang));
  label(document.documentElement.lang || (navigator.language.startsWith("ja") ? "ja" : "en"));
}

function decode(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const characters = atob(base64), bytes = new Uint8Array(characters.length);
  for (let n = 0; n < bytes.length; n++) bytes[n] = characters.charCodeAt(n);
  return bytes;
}
