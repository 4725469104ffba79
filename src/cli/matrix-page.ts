import type { Matrix, MatrixCell, MatrixClass } from "../compat/matrix.ts";
import { printable } from "../log.ts";
import { CELLS, type CellKind, kindOf } from "./render-matrix.ts";

/** Colours that stay apart for colour-blind readers; every cell has its letter too. */
const STYLE = `
:root {
	color-scheme: light dark;
	--accept: light-dark(#9fdcae, #1f6b3a); --warnings: light-dark(#d3edc4, #47641f);
	--conditional: light-dark(#ffe08a, #7a5b00); --unknown: light-dark(#cfd6e4, #4a5468);
	--reject: light-dark(#f6a6a1, #8e2a2a); --line: light-dark(#d0d0d0, #444);
}
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; background: light-dark(#fff, #16181c); color: light-dark(#1b1b1b, #e6e6e6); }
h2 { margin: 2em 0 .3em; font-size: 1.1em; }
.scroll { overflow: auto; max-height: 90vh; max-width: 100%; }
table { border-collapse: separate; border-spacing: 1px; }
th { font-weight: normal; background: light-dark(#fff, #16181c); white-space: nowrap; }
thead th { position: sticky; top: 0; z-index: 1; vertical-align: bottom; }
thead th span { writing-mode: vertical-rl; transform: rotate(180deg); }
tbody th { position: sticky; left: 0; text-align: right; padding-right: .6em; }
td { min-width: 1.7em; height: 1.7em; text-align: center; border-radius: 2px; }
td.none { color: var(--line); }
.legend span { display: inline-block; padding: .1em .6em; margin: 0 .6em .4em 0; border-radius: 2px; }
${Object.keys(CELLS)
	.map((kind) => `.${kind} { background: var(--${kind}); }`)
	.join("\n")}
`;

/** The matrix as one page that needs nothing else: no script, no picture, no font, no connection. */
export function matrixPage({ hosts, classes }: Matrix): string {
	const legend = Object.entries(CELLS).map(
		([kind, { letter, word }]) => `<span class="${kind}">${letter} ${escapeHtml(word)}</span>`,
	);
	return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>novacompat matrix</title>
<style>${STYLE}</style>
</head>
<body>
<h1>Which host takes which devices</h1>
<p>A row is the host that a device leaves, a column the host that shall take it, whatever is in use now. Point at a cell for the reason.
${hosts.length} hosts, ${classes.length} types of devices.</p>
<p class="legend">${legend.join("\n")}</p>
${classes.map((found) => section(found, hosts)).join("\n")}
</body>
</html>
`;
}

function section({ device_type, rows }: MatrixClass, hosts: readonly string[]): string {
	const cells = rows.flatMap((row) => row.cells);
	const counts = (Object.keys(CELLS) as CellKind[]).flatMap((kind) => {
		const count = cells.filter((cell) => kindOf(cell) === kind).length;
		return count > 0 ? [`${count} ${kind === "warnings" ? "with warnings" : kind}`] : [];
	});
	const columns = hosts.map((host) => `<th scope="col"><span>${escapeHtml(host)}</span></th>`);
	const lines = rows.map((row) => {
		const byTarget = new Map(row.cells.map((cell) => [cell.target_host, cell]));
		const line = hosts.map((host) => tableCell(byTarget.get(host)));
		return `<tr><th scope="row">${escapeHtml(row.source_host)}</th>${line.join("")}</tr>`;
	});
	return `<section>
<h2>${escapeHtml(device_type)}</h2>
<p>${counts.join(", ") || "no pair of hosts"}</p>
<div class="scroll"><table>
<thead><tr><th></th>${columns.join("")}</tr></thead>
<tbody>
${lines.join("\n")}
</tbody>
</table></div>
</section>`;
}

function tableCell(cell: MatrixCell | undefined): string {
	if (cell === undefined) return '<td class="none">·</td>';
	const kind = kindOf(cell);
	const { source_host, target_host, code, message } = cell;
	const reason = code === undefined ? "" : `\n${code}: ${message}`;
	const title = `${source_host} -> ${target_host}: ${CELLS[kind].word}${reason}`;
	return `<td class="${kind}" title="${escapeHtml(title)}">${CELLS[kind].letter}</td>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
	"&": "&amp;",
	"<": "&lt;",
	">": "&gt;",
	'"': "&quot;",
	"'": "&#39;",
};

/** Names come from hosts: none may become markup, nor turn the direction of the text around. */
function escapeHtml(text: string): string {
	const lines = text.split("\n").map(printable);
	return lines.join("&#10;").replace(/[<>"']|&(?!#10;)/g, (character) => ENTITIES[character] ?? "");
}
