// The page of a run: one of its two languages is shown; which, survives the reloading of the page.
"use strict";

const mains = [...document.querySelectorAll("main")];

function show(language) {
  document.documentElement.lang = language;
  for (const main of mains) main.hidden = main.lang !== language;
}

for (const button of document.querySelectorAll(".language"))
  button.addEventListener("click", () => {
    location.replace("#" + mains.find((main) => main.hidden).lang);
    show(location.hash.slice(1));
  });
const chosen = location.hash.slice(1);
const usual = document.documentElement.lang || (navigator.language.startsWith("ja") ? "ja" : "en");
show(mains.some((main) => main.lang === chosen) ? chosen : usual);
