// Answers as HTML that can do no harm: markdown without HTML of its own, sanitized; nothing is fetched, links open elsewhere.
import DOMPurify from 'dompurify';
import MarkdownIt from 'markdown-it';

const markdown = new MarkdownIt({ html: false, linkify: true, breaks: false }).disable('image');

// Columns are aligned by class: the content policy takes no inline style.
markdown.core.ruler.push('aligned_cells', (state) => {
  for (const token of state.tokens) {
    const style = token.attrGet('style');
    if (!style) continue;
    token.attrs = token.attrs!.filter(([name]) => name !== 'style');
    token.attrJoin('class', String(style).replace('text-align:', 'align-'));
  }
});

DOMPurify.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName !== 'A') return;
  node.setAttribute('target', '_blank');
  node.setAttribute('rel', 'noopener noreferrer nofollow');
});

export function htmlOf(text: string): string {
  const html = DOMPurify.sanitize(markdown.render(text), {
    USE_PROFILES: { html: true },
    FORBID_TAGS: ['style', 'img', 'video', 'audio', 'form', 'input', 'button', 'picture', 'source'],
    FORBID_ATTR: ['style', 'srcset', 'src', 'id', 'name'],
    RETURN_TRUSTED_TYPE: true,
  });
  return html as unknown as string; // what Preact hands on to innerHTML
}
