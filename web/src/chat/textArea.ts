const most = 260; // pixels; beyond it scrolls

export function fitHeight(area: HTMLTextAreaElement) {
  area.style.height = 'auto';
  area.style.height = `${Math.min(area.scrollHeight + 2, most)}px`;
}
