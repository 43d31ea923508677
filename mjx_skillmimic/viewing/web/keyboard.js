// Runs in the page once. The commands themselves arrive through viser's own hotkeys, which hear a key at the document's
// root element; this script keeps viser's camera, which listens one level above, from moving by the same keys.
(() => {
  if (window.skillmimicKeys) return;
  window.skillmimicKeys = true;
  document.title = __TITLE__;
  const keys = new Set(__KEYS__);
  const repeating = new Set(__REPEATING__);
  const typing = (e) => e && (["INPUT", "TEXTAREA", "SELECT"].includes(e.tagName) || e.isContentEditable);
  const ours = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return null;
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    return keys.has(name) ? name : null;
  };
  window.addEventListener("keydown", (event) => {
    const name = ours(event);
    if (name === null || !event.repeat || repeating.has(name)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);
  document.documentElement.addEventListener("keydown", (event) => {
    if (ours(event) === null) return;
    event.preventDefault();
    event.stopPropagation();
  });
  // Space would press the button that was clicked last, arrows would move the last slider, and a menu or a number field
  // would keep all keys to itself: whatever was used, or left for the scene, gives the keyboard back.
  window.addEventListener("pointerup", (event) => {
    const from = event.target instanceof Element ? event.target : null;
    setTimeout(() => {
      const active = document.activeElement;
      if (!active || active === document.body || !from) return;
      if (!typing(active) || from.closest("canvas, [role=option]")) active.blur();
    }, 0);
  }, true);
})();
