// Server-sent events of a reply, as they come.

export async function* eventsOf(reply: Response): AsyncGenerator<string> {
  const reader = reply.body!.pipeThrough(new TextDecoderStream()).getReader();
  let pending = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      pending += value;
      const events = pending.split('\n\n');
      pending = events.pop()!;
      for (const event of events) {
        if (event.startsWith('data: ')) yield event.slice('data: '.length);
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
