//! Pieces of the page. Every text is escaped by the templates.

use maud::{Markup, Render, html};

/// A table, which can be scrolled sideways where it does not fit.
pub(crate) fn table(caption: &str, columns: &[&str], rows: &[Vec<impl Render>]) -> Markup {
    html! {
        div.wide tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead { tr { @for column in columns { th scope="col" { (column) } } } }
                tbody { @for row in rows { tr { @for cell in row { td { (cell) } } } } }
            }
        }
    }
}

/// A bar for each row, with its name and number beside it.
pub(super) fn bars(heading: &str, explained: &str, rows: &[(String, u64)]) -> Markup {
    let most = rows.iter().map(|(_, count)| *count).max().unwrap_or_default();
    html! {
        section {
            h2 { (heading) }
            p { (explained) }
            @if most == 0 {
                p { "None." }
            } @else {
                table.bars {
                    caption { (heading) }
                    tbody { @for (name, count) in rows {
                        tr {
                            th scope="row" { (name) }
                            td { (count) }
                            td { (bar(1000 * count / most)) }
                        }
                    } }
                }
            }
        }
    }
}

/// A bar of so many thousandths of the width.
fn bar(share: u64) -> Markup {
    html! {
        svg viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true" {
            rect width=(share) height="10" {}
        }
    }
}

/// By day, by night, on paper, and without colours.
pub(super) const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--soft:#57606a;--line:#d0d7de;--bar:#0b5cad;--good:#116329;--bad:#a40e26}\
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--paper:#0d1117;--soft:#9ea7b1;--line:#3d444d;--bar:#58a6ff;--good:#4ac26b;--bad:#ff8182}}\
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}\
main{max-width:60rem;margin:0 auto;padding:1rem}h1{font-size:1.6rem;line-height:1.25}h2{font-size:1.2rem;margin:2rem 0 .25rem}\
p{margin:.25rem 0 .75rem}section>p,figcaption,caption{color:var(--soft)}\
.verdict{border:2px solid;border-radius:.5rem;padding:.75rem 1rem;color:var(--good)}.verdict.unsound{color:var(--bad)}\
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}caption{text-align:left;padding:.25rem 0}\
th,td{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}\
.wide td,.wide th{min-width:7rem}.bars caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}\
.bars th{font-weight:400;width:40%}.bars td:nth-child(2){text-align:right;font-variant-numeric:tabular-nums;width:15%}\
.bars svg{width:100%;height:1rem;display:block}figure{margin:.5rem 0}figure svg{width:100%;height:3rem;display:block}\
rect{fill:var(--bar)}line{stroke:var(--line);stroke-width:10}\
@media print{:root{--ink:#000;--paper:#fff;--soft:#333;--line:#999;--bar:#333;--good:#000;--bad:#000}section{break-inside:avoid}rect{print-color-adjust:exact;-webkit-print-color-adjust:exact}}";
