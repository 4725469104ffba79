import type { Matrix, MatrixCell, MatrixClass } from "../../compat/matrix.ts";
import { escapeHtml, htmlPage } from "./html.ts";
import { CELLS, type CellKind, kindOf } from "./matrix.ts";

/** Of the table; every cell has its letter too. */
export const MATRIX_STYLE = `
.matrix { border-collapse: separate; border-spacing: 1px; }
.matrix th { font-weight: normal; background: light-dark(#fff, #16181c); white-space: nowrap; }
.matrix thead th { position: sticky; top: 0; z-index: 1; vertical-align: bottom; }
.matrix thead th span { writing-mode: vertical-rl; transform: rotate(180deg); }
.matrix tbody th { position: sticky; left: 0; text-align: right; padding-right: .6em; }
.matrix td { min-width: 1.7em; height: 1.7em; text-align: center; border-radius: 2px; }
.matrix td.none { color: var(--line); }
.maps { display: flex; flex-wrap: wrap; gap: 0 4em; }
.maps section { max-width: 100%; }
.legend span { display: inline-block; padding: .1em .6em; margin: 0 .6em .4em 0; border-radius: 2px; }
`;

/** The matrix as one page that needs nothing else. */
export function matrixPage(found: Matrix): string {
	const body = `<h1>Which host takes which devices</h1>\n${matrixSections(found)}`;
	return htmlPage({ title: "novacompat matrix", style: MATRIX_STYLE, body });
}

/** A heat map for each type of devices. */
export function matrixSections({ hosts, classes }: Matrix): string {
	const legend = Object.entries(CELLS).map(
		([kind, { letter, word }]) => `<span class="${kind}">${letter} ${escapeHtml(word)}</span>`,
	);
	return `<p>A row is the host that a device leaves, a column the host that shall take it, whatever is in use now. Point at a cell for the reason.
${hosts.length} hosts, ${classes.length} types of devices.</p>
<p class="legend">${legend.join("\n")}</p>
<div class="maps">
${classes.map((found) => section(found, hosts)).join("\n")}
</div>`;
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
<h3>${escapeHtml(device_type)}</h3>
<p>${counts.join(", ") || "no pair of hosts"}</p>
<div class="scroll"><table class="matrix">
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
