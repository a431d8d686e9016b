/** What build.mjs makes of JSX. */

export { Fragment, h } from "preact";
