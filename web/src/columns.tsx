import type { JSX } from "preact";

/** The head of a table. */
export function Columns({ names }: { names: string[] }): JSX.Element {
  return (
    <thead>
      <tr>
        {names.map((name) => (
          <th key={name} scope="col">
            {name}
          </th>
        ))}
      </tr>
    </thead>
  );
}
