import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { announce } from "./announcer";
import { Button } from "./button";
import { shortened } from "./format";
import { CheckIcon, CopyIcon } from "./icons";

const COPIED_MS = 1_500;

/** A long text shown by its ends, and copied whole. Where the browser forbids that, it is shown whole and selected. */
export function Copyable({ text, what }: { text: string; what: string }): JSX.Element {
  const copied = useSignal(false);
  const whole = useSignal(false);
  const shown = useRef<HTMLElement>(null);

  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
      copied.value = true;
      announce(`${what} copied.`);
      setTimeout(() => (copied.value = false), COPIED_MS);
    } catch {
      whole.value = true;
      requestAnimationFrame(() => shown.current && getSelection()?.selectAllChildren(shown.current));
    }
  }

  return (
    <span class="copyable">
      <code ref={shown} title={text}>
        {whole.value ? text : shortened(text)}
      </code>
      <Button class="quiet" onClick={() => void copy()} aria-label={`Copy ${what}`}>
        {copied.value ? <CheckIcon /> : <CopyIcon />}
      </Button>
    </span>
  );
}
