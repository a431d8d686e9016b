import type { ComponentChildren, JSX } from "preact";

interface FactProps {
  name: string;
  /** What tests find it by. */
  test?: string;
  class?: string;
  title?: string | undefined;
  children: ComponentChildren;
}

/** A line of a list of facts: what it is, and how much. */
export function Fact({ name, test, children, ...more }: FactProps): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd {...more} data-test={test}>
        {children}
      </dd>
    </div>
  );
}
