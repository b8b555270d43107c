// Asking again and again, while somebody looks.
import { useEffect } from 'preact/hooks';
import { askJson, Refusal } from '../server/ask';
import { unreachable } from '../server/info';

const pollMilliseconds = 1000;

// take: every answer, in order. body: of the next request; undefined: none
export function usePoll<T>(path: string, take: (answer: T) => void, body: () => unknown) {
  useEffect(() => {
    const gone = new AbortController();
    let timer = 0;
    const next = async () => {
      try {
        if (document.visibilityState === 'visible') take(await askJson<T>(path, body(), gone.signal));
        unreachable.value = '';
      } catch (failure) {
        if (gone.signal.aborted) return;
        if (!(failure instanceof Refusal)) unreachable.value = 'The server cannot be reached.';
      }
      timer = window.setTimeout(next, pollMilliseconds);
    };
    next();
    return () => {
      gone.abort();
      clearTimeout(timer);
    };
  }, []);
}
