//! The course of a soak as an SVG: one panel for each kind of value, all with the same time below.

use std::fmt::Write as _;

/// One line of a panel.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) color: &'static str,
    /// Seconds and values; a gap where a value is missing.
    pub(super) points: Vec<(f64, Option<f64>)>,
}

pub(super) struct Panel {
    /// What is shown, with its unit.
    pub(super) title: String,
    pub(super) lines: Vec<Line>,
}

/// Something that happened, drawn through all panels.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) at: f64,
    pub(super) until: f64,
    pub(super) color: &'static str,
}

const WIDTH: f64 = 960.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 76.0;
const HEIGHT: f64 = 130.0;
const GAP: f64 = 44.0;

/// Draws it. `events`: what each color means is in `legend`.
pub(super) fn draw(
    title: &str,
    subtitle: &str,
    seconds: f64,
    panels: &[Panel],
    events: &[Event],
    legend: &[(&str, &str)],
) -> String {
    let height = TOP + panels.len() as f64 * (HEIGHT + GAP) + 12.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"17\" font-weight=\"bold\">{}</text>\n\
         <text x=\"{LEFT}\" y=\"43\" fill=\"#555\">{}</text>\n",
        escape(title),
        escape(subtitle)
    );
    let mut x = LEFT;
    for (color, name) in legend {
        put(
            &mut svg,
            format_args!(
                "<rect x=\"{x}\" y=\"53\" width=\"10\" height=\"10\" fill=\"{color}\"/>\
             <text x=\"{}\" y=\"62\" fill=\"#555\">{}</text>",
                x + 15.0,
                escape(name)
            ),
        );
        x += 40.0 + 6.6 * name.len() as f64;
    }
    for (number, panel) in panels.iter().enumerate() {
        let top = TOP + number as f64 * (HEIGHT + GAP) + 18.0;
        draw_panel(&mut svg, panel, top, seconds, events);
    }
    svg + "</svg>\n"
}

fn draw_panel(svg: &mut String, panel: &Panel, top: f64, seconds: f64, events: &[Event]) {
    let (right, bottom) = (WIDTH - RIGHT, top + HEIGHT);
    let x = |at: f64| LEFT + (at / seconds).clamp(0.0, 1.0) * (right - LEFT);
    let most = panel
        .lines
        .iter()
        .flat_map(|line| line.points.iter().filter_map(|(_, value)| *value))
        .fold(0.0, f64::max);
    let step = step(most / 4.0);
    let scale = step * (most / step).ceil().max(1.0);
    let y = |value: f64| bottom - value / scale * HEIGHT;
    put(
        svg,
        format_args!(
            "<text x=\"{LEFT}\" y=\"{}\" font-weight=\"bold\">{}</text>",
            top - 7.0,
            escape(&panel.title)
        ),
    );
    for event in events {
        let width = (x(event.until) - x(event.at)).max(1.0);
        put(
            svg,
            format_args!(
                "<rect x=\"{:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"{HEIGHT}\" fill=\"{}\"/>",
                x(event.at),
                event.color
            ),
        );
    }
    let mut value = 0.0;
    while value <= scale * 1.001 {
        put(
            svg,
            format_args!(
                "<path d=\"M{LEFT} {0:.1}H{right}\" stroke=\"#ddd\"/>\
             <text x=\"{1}\" y=\"{2:.1}\" text-anchor=\"end\" fill=\"#555\">{3}</text>",
                y(value),
                LEFT - 6.0,
                y(value) + 4.0,
                number(value)
            ),
        );
        value += step;
    }
    let (unit, name) = if seconds > 300.0 { (60.0, "min") } else { (1.0, "s") };
    let tick = self::step(seconds / unit / 8.0);
    let mut at = 0.0;
    while at <= seconds / unit * 1.001 {
        put(
            svg,
            format_args!(
                "<path d=\"M{0:.1} {bottom}v4\" stroke=\"#888\"/>\
             <text x=\"{0:.1}\" y=\"{1}\" text-anchor=\"middle\" fill=\"#555\">{2}</text>",
                x(at * unit),
                bottom + 17.0,
                if at == 0.0 { format!("0 {name}") } else { number(at) }
            ),
        );
        at += tick;
    }
    put(
        svg,
        format_args!("<path d=\"M{LEFT} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"#888\"/>"),
    );
    for (place, line) in panel.lines.iter().enumerate() {
        let mut path = String::new();
        let mut pen = 'M';
        for (at, value) in &line.points {
            match value {
                Some(value) => {
                    write!(path, "{pen}{:.1} {:.1}", x(*at), y(*value)).expect("a String");
                    pen = 'L';
                }
                None => pen = 'M',
            }
        }
        let label = top + 12.0 + 18.0 * place as f64;
        put(
            svg,
            format_args!(
                "<path d=\"{path}\" fill=\"none\" stroke=\"{0}\" stroke-width=\"1.4\"/>\
             <path d=\"M{1} {2}h18\" stroke=\"{0}\" stroke-width=\"3\"/>\
             <text x=\"{3}\" y=\"{4}\">{5}</text>",
                line.color,
                right + 12.0,
                label - 4.0,
                right + 36.0,
                label,
                escape(&line.name)
            ),
        );
    }
}

fn put(svg: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(svg, "{line}").expect("a String");
}

/// The next step of 1, 2 or 5 that is not smaller.
fn step(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(1e-3).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].iter().map(|n| n * power).find(|step| *step >= least * 0.999);
    step.unwrap_or(power).max(if least > 0.2 { 1.0 } else { 0.0 })
}

fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[test]
fn steps_of_an_axis() {
    assert_eq!([0.3, 1.1, 3.0, 7.0, 40.0].map(step), [1.0, 2.0, 5.0, 10.0, 50.0]);
}
