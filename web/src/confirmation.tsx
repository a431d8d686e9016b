/** What may cost much, or looks like a mistake, is asked for again; Enter alone doesn't do it. */

import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useModal } from "./modal";
import { Button } from "./button";

export interface Question {
  title: string;
  text: JSX.Element;
  /** What its button says. */
  action: string;
  onConfirm: () => void;
}

const asked = signal<Question | null>(null);

export function ask(question: Question): void {
  asked.value = question;
}

export function Confirmation(): JSX.Element {
  const question = asked.value;
  const dialog = useModal(question !== null);

  function confirm(): void {
    asked.value = null;
    question?.onConfirm();
  }

  return (
    <dialog
      ref={dialog}
      class="key confirmation"
      aria-labelledby="confirmation-title"
      aria-describedby="confirmation-text"
      onClose={() => (asked.value = null)}
    >
      {question && (
        <div class="question">
          <h2 id="confirmation-title" tabIndex={-1} autoFocus>
            {question.title}
          </h2>
          <div id="confirmation-text">{question.text}</div>
          <div class="dialog-end">
            <Button class="secondary" onClick={() => dialog.current?.close()}>
              Go back
            </Button>
            <Button
              class="primary danger"
              onClick={confirm}
              onKeyDown={(event) => event.key === "Enter" && event.preventDefault()}
              aria-describedby="confirmation-key"
            >
              {question.action}
            </Button>
          </div>
          <p class="faint" id="confirmation-key">
            Enter doesn't do it: click, or press the space bar on the button.
          </p>
        </div>
      )}
    </dialog>
  );
}
