// The pages are complete without this script. It only saves taps.
"use strict";

// A form that changes only the view is sent as soon as a choice in it changes.
for (const form of document.querySelectorAll("form[data-auto]")) {
  form.addEventListener("change", () => form.requestSubmit());
}
