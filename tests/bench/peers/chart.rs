//! Charts as SVG that can be read on a light and on a dark page.

use std::fmt::Write as _;

use super::growth::Growth;
use super::measure::{Outcomes, Sample};
use super::peer::Peer;

const STYLE: &str = "<style>\
text{font:12px sans-serif;fill:#1f2328}.axis{stroke:#59636e;stroke-width:1}\
.one{stroke:#59636e;stroke-width:1;stroke-dasharray:4 3}\
.grid{stroke:#59636e;stroke-opacity:.25}\
.Ours{fill:#0969da;stroke:#0969da}.C{fill:#59636e;stroke:#59636e}\
.Ajp{fill:#bc4c00;stroke:#bc4c00}.Http{fill:#8250df;stroke:#8250df}\
.line{fill:none;stroke-width:2}\
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.axis,.one,.grid{stroke:#9198a1}\
.Ours{fill:#58a6ff;stroke:#58a6ff}.C{fill:#9198a1;stroke:#9198a1}\
.Ajp{fill:#f0883e;stroke:#f0883e}.Http{fill:#bc8cff;stroke:#bc8cff}.line{fill:none}}\
</style>\n";

fn open(width: u32, height: u32, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" role=\"img\">\n<title>{title}</title>\n{STYLE}\
         <text x=\"10\" y=\"18\" font-weight=\"bold\">{title}</text>\n"
    )
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

fn legend(svg: &mut String, peers: &[Peer], y: f64) {
    for (peer, x) in peers.iter().zip((10..).step_by(150)) {
        let x = f64::from(x);
        let _ = writeln!(
            svg,
            "<rect class=\"{peer:?}\" x=\"{x}\" y=\"{:.1}\" width=\"10\" height=\"10\"/>",
            y - 9.0
        );
        text(svg, x + 15.0, y, "start", peer.name());
    }
}

/// Horizontal bars: the ratio to C mod_jk in one column, a group for each row.
pub(super) fn bars(title: &str, rows: &[Outcomes], column: fn(&Sample) -> f64) -> String {
    const PEERS: [Peer; 3] = [Peer::Ours, Peer::Ajp, Peer::Http];
    const LEFT: f64 = 190.0;
    const SCALE: f64 = 170.0;
    /// Longer bars are cut; their number is beside them.
    const MOST: f64 = 3.0;
    let bottom = 50.0 + 44.0 * rows.len() as f64;
    let mut svg = open(760, bottom as u32 + 45, title);
    legend(&mut svg, &PEERS, 38.0);
    for (row, index) in rows.iter().zip(0_u32..) {
        let top = 52.0 + 44.0 * f64::from(index);
        text(&mut svg, LEFT - 8.0, top + 22.0, "end", row.name);
        for (peer, y) in PEERS.into_iter().zip([0.0, 12.0, 24.0]) {
            let Some(ratio) = row.ratio(peer, Peer::C, column) else { continue };
            let width = ratio.median.min(MOST) * SCALE;
            let _ = writeln!(
                svg,
                "<rect class=\"{peer:?}\" x=\"{LEFT}\" y=\"{:.1}\" width=\"{width:.1}\" \
                 height=\"10\"/>",
                top + y
            );
            let label = format!("{:.2}", ratio.median);
            text(&mut svg, LEFT + width + 5.0, top + y + 10.0, "start", &label);
        }
    }
    for (tick, class) in [(0.0, "axis"), (1.0, "one"), (2.0, "grid"), (3.0, "grid")] {
        let x = LEFT + tick * SCALE;
        let _ = writeln!(
            svg,
            "<line class=\"{class}\" x1=\"{x}\" y1=\"46\" x2=\"{x}\" y2=\"{bottom}\"/>"
        );
        text(&mut svg, x, bottom + 16.0, "middle", &format!("{tick:.0}"));
    }
    text(&mut svg, LEFT + SCALE, bottom + 34.0, "middle", "ratio to C mod_jk (= 1)");
    svg + "</svg>\n"
}

/// Lines: what something costs as it grows.
pub(super) fn lines(growth: &Growth) -> String {
    const LEFT: f64 = 80.0;
    const TOP: f64 = 55.0;
    const WIDTH: f64 = 620.0;
    const HEIGHT: f64 = 260.0;
    let points = || growth.lines.iter().flat_map(|line| &line.points);
    let most_x = points().map(|point| point.0).fold(0.0, f64::max);
    let most_y = points().map(|point| point.1).fold(0.0, f64::max);
    let x = |value: f64| LEFT + value / most_x * WIDTH;
    let y = |value: f64| TOP + HEIGHT - value / most_y * HEIGHT;
    let mut svg = open(760, 375, growth.title);
    let peers: Vec<Peer> = growth.lines.iter().map(|line| line.peer).collect();
    legend(&mut svg, &peers, 38.0);
    for tick in 0..=4 {
        let part = f64::from(tick) / 4.0;
        let class = if tick == 0 { "axis" } else { "grid" };
        let (at_x, at_y) = (x(part * most_x), y(part * most_y));
        let _ = writeln!(
            svg,
            "<line class=\"{class}\" x1=\"{LEFT}\" y1=\"{at_y}\" x2=\"{}\" y2=\"{at_y}\"/>\n\
             <line class=\"{class}\" x1=\"{at_x}\" y1=\"{TOP}\" x2=\"{at_x}\" y2=\"{}\"/>",
            LEFT + WIDTH,
            TOP + HEIGHT
        );
        text(&mut svg, at_x, TOP + HEIGHT + 17.0, "middle", &format!("{:.0}", part * most_x));
        text(&mut svg, LEFT - 8.0, at_y + 4.0, "end", &format!("{:.0}", part * most_y));
    }
    text(&mut svg, LEFT + WIDTH / 2.0, TOP + HEIGHT + 38.0, "middle", growth.x);
    let middle = TOP + HEIGHT / 2.0;
    let _ = writeln!(
        svg,
        "<text x=\"18\" y=\"{middle}\" text-anchor=\"middle\" \
         transform=\"rotate(-90 18 {middle})\">{}</text>",
        growth.y
    );
    for line in &growth.lines {
        let peer = line.peer;
        let path: Vec<String> = line
            .points
            .iter()
            .map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1)))
            .collect();
        let _ = writeln!(svg, "<polyline class=\"{peer:?} line\" points=\"{}\"/>", path.join(" "));
        for point in &line.points {
            let _ = writeln!(
                svg,
                "<circle class=\"{peer:?}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"/>",
                x(point.0),
                y(point.1)
            );
        }
    }
    svg + "</svg>\n"
}
