// A function that shows the newest state when called, but leaves as much time between two drawings as one takes: drawing a long
// answer for every token would leave a slow machine none to notice a click.
export function paced(show: () => void): () => void {
  let busy = false;
  let wanted = false;
  const draw = () => {
    const begun = performance.now();
    busy = true;
    wanted = false;
    show();
    const drawn = () => setTimeout(rest);
    const rest = () => setTimeout(rested, performance.now() - begun);
    if (document.hidden) drawn(); // there are no frames to wait for
    else requestAnimationFrame(drawn);
  };
  const rested = () => {
    busy = false;
    if (wanted) draw();
  };
  return () => {
    wanted = true;
    if (!busy) draw();
  };
}
