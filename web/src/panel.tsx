import type { ComponentChildren, JSX, RefObject } from "preact";

interface PanelProps {
  /** Its class, and what its title's id begins with. */
  name: string;
  title: ComponentChildren;
  /** What stands beside the title. */
  beside?: ComponentChildren;
  panel?: RefObject<HTMLElement | null>;
  heading?: RefObject<HTMLHeadingElement | null>;
  children: ComponentChildren;
}

/** A part of the page, called by its title, which the focus can be moved to. */
export function Panel({ name, title, beside, panel, heading, children }: PanelProps): JSX.Element {
  const id = `${name}-title`;
  return (
    <section class={`panel ${name}`} aria-labelledby={id} ref={panel ?? null}>
      <header class="panel-head">
        <h2 id={id} tabIndex={-1} ref={heading ?? null}>
          {title}
        </h2>
        {beside}
      </header>
      {children}
    </section>
  );
}
