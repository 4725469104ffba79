import { createHash } from "node:crypto";
import { printable } from "../../log/printable.ts";
import { CELLS } from "./matrix.ts";

/** Colours that stay apart for colour-blind readers. */
const STYLE = `
:root {
	color-scheme: light dark;
	--accept: light-dark(#9fdcae, #1f6b3a); --warnings: light-dark(#d3edc4, #47641f);
	--conditional: light-dark(#ffe08a, #7a5b00); --unknown: light-dark(#cfd6e4, #4a5468);
	--reject: light-dark(#f6a6a1, #8e2a2a); --line: light-dark(#d0d0d0, #444);
}
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; background: light-dark(#fff, #16181c); color: light-dark(#1b1b1b, #e6e6e6); }
h2, h3 { margin: 2em 0 .3em; font-size: 1.1em; }
.scroll { overflow: auto; max-height: 90vh; max-width: 100%; }
${Object.keys(CELLS)
	.map((kind) => `.${kind} { background: var(--${kind}); }`)
	.join("\n")}
`;

export interface HtmlPage {
	/** Markup, as `style` and `body` are. */
	readonly title: string;
	readonly style: string;
	readonly body: string;
}

/** A page that needs nothing else: no script, no picture, no font, no connection. */
export function htmlPage({ title, style, body }: HtmlPage): string {
	const styles = STYLE + style;
	return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policyFor(styles)}">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>${styles}</style>
</head>
<body>
${body}
</body>
</html>
`;
}

/** Nothing but this one style sheet. */
function policyFor(style: string): string {
	return `default-src 'none'; style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'`;
}

const ENTITIES: Readonly<Record<string, string>> = {
	"&": "&amp;",
	"<": "&lt;",
	">": "&gt;",
	'"': "&quot;",
	"'": "&#39;",
};

/** Names come from hosts: none may become markup, nor turn the direction of the text around. */
export function escapeHtml(text: string): string {
	const lines = text.split("\n").map(printable);
	return lines.join("&#10;").replace(/[<>"']|&(?!#10;)/g, (character) => ENTITIES[character] ?? "");
}
