/** Gives the keyboard to an element where what had it is gone or hidden; else it stays where it is. */
export function takeLostFocus(element: HTMLElement | null): void {
  const { activeElement: active } = document;
  if (active === null || active === document.body || !active.checkVisibility()) element?.focus({ preventScroll: true });
}
