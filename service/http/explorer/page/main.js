// @ts-check
/** The page: its elements, and the view that the address restores. */

import "./answers.js";
import "./ask.js";
import "./camera.js";
import "./chooser.js";
import "./classes.js";
import "./confusion.js";
import "./controls.js";
import "./downloads.js";
import "./drawing.js";
import "./favourites.js";
import "./finds.js";
import "./graph.js";
import "./grid.js";
import "./kernel.js";
import "./keys.js";
import "./models.js";
import "./notices.js";
import "./picker.js";
import "./snippets.js";
import "./stage.js";
import "./strip.js";
import "./unit.js";
import { listenForKernels } from "./kernels.js";
import { listen } from "./questions.js";
import { session } from "./session.js";

listen();
listenForKernels();
document.getElementById("to-models")?.addEventListener("click", () => {
  document.getElementById("models")?.focus(); // a link to a part of the page would replace the address of the view
});
addEventListener("hashchange", () => session.readAddress());
session.readAddress();
session.readModels();
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) session.readModels(); // the service may have been started again meanwhile
});
