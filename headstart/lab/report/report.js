"use strict";
// Tooltips of chart points, buttons that show or hide rows, and a button that copies the command.
(() => {
  const tip = document.getElementById("tip");
  const hide = () => { tip.style.visibility = "hidden"; };

  const nearest = (chart, x, y) => {
    let best = null, smallest = 40;  // pixels
    for (const mark of chart.querySelectorAll("[data-tip]")) {
      const box = mark.getBoundingClientRect();
      if (!box.width && !box.height) continue;
      const inside = x >= box.left && x <= box.right && y >= box.top && y <= box.bottom;
      const distance = inside ? 0 : Math.hypot(x - (box.left + box.right) / 2, y - (box.top + box.bottom) / 2);
      if (distance < smallest) { best = mark; smallest = distance; }
    }
    return best;
  };

  const show = (mark) => {
    const box = mark.getBoundingClientRect();
    tip.textContent = mark.dataset.tip;
    const left = Math.min(Math.max(8, (box.left + box.right - tip.offsetWidth) / 2), innerWidth - tip.offsetWidth - 8);
    const above = box.top - tip.offsetHeight - 10;
    tip.style.transform = `translate(${left}px, ${above > 8 ? above : box.bottom + 10}px)`;
    tip.style.visibility = "visible";
  };

  for (const chart of document.querySelectorAll(".chart")) {
    const showNearest = (event) => {
      const mark = nearest(chart, event.clientX, event.clientY);
      if (mark) show(mark); else hide();
    };
    chart.addEventListener("pointermove", showNearest);
    chart.addEventListener("pointerdown", showNearest);
    chart.addEventListener("pointerleave", hide);
  }
  addEventListener("scroll", hide, { passive: true });

  for (const button of document.querySelectorAll("[data-toggle]")) {
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      for (const part of document.querySelectorAll("[data-series]")) {
        if (part.dataset.series === button.dataset.toggle) part.toggleAttribute("hidden", !on);
      }
    });
  }

  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      const source = document.querySelector(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(source.textContent);
      } catch {
        getSelection().selectAllChildren(source);
        document.execCommand("copy");
      }
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1600);
    });
  }
})();
