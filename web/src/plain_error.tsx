import type { JSX } from "preact";
import { Refused, Unreachable } from "./api";
import { codeOf, inPlainWords, type PlainError, sentence } from "./errors";

/** The words for whatever was thrown. */
export function wordsFor(error: Error): PlainError {
  if (error instanceof Refused) return inPlainWords(codeOf(error.problem), error.problem.detail);
  if (error instanceof Unreachable) return { what: "Fillrate does not answer.", todo: "The page retries by itself." };
  return { what: "Something went wrong in this page.", todo: "Reload it." };
}

/** What happened, what to do, and the server's own words under it. */
export function PlainErrorText({ words, detail }: { words: PlainError; detail?: string | undefined }): JSX.Element {
  const own = detail === undefined ? null : sentence(detail);
  return (
    <>
      <strong>{words.what}</strong> {words.todo}
      {own !== null && own !== words.what && <span class="detail">{own}</span>}
    </>
  );
}

/** What went wrong, as a notice; `words` in place of the error's own. Nothing where nothing did. */
export function ErrorNotice({
  error,
  role,
  tone = "warn",
  words,
}: {
  error: Error | null;
  role: "alert" | "status";
  tone?: "warn" | "bad";
  words?: PlainError | null;
}): JSX.Element | null {
  return (
    error && (
      <p class={`notice notice-${tone}`} role={role}>
        <PlainErrorText
          words={words ?? wordsFor(error)}
          detail={error instanceof Refused ? error.problem.detail : undefined}
        />
      </p>
    )
  );
}
