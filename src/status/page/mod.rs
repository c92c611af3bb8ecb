//! The frame of every page: one document that needs nothing else.
#![forbid(unsafe_code)]

use std::fmt::Write as _;

use super::escape::markup;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// What is around the content of a page.
pub(super) struct Frame<'a> {
    /// Title and first heading.
    pub title: String,
    /// Behind the heading.
    pub note: String,
    /// Address of a style sheet of the administrator's.
    pub css: Option<&'a [u8]>,
    /// Seconds after which the page is loaded again; zero for never.
    pub refresh: u32,
    /// Where the page leads after a few seconds, as markup.
    pub goes_to: Option<String>,
    /// Where to go from here, as markup.
    pub nav: String,
    /// The content, as markup.
    pub body: String,
}

/// The whole document.
pub(super) fn document(frame: &Frame<'_>) -> Vec<u8> {
    let Frame { title, note, css, refresh, goes_to, nav, body } = frame;
    let title = markup(title.as_bytes());
    let mut html = String::with_capacity(body.len().saturating_add(16_384));
    let _ = write!(
        html,
        "<!DOCTYPE html>\n<html lang=\"en\" data-refresh=\"{refresh}\">\n<head>\n\
         <meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n"
    );
    if *refresh > 0 {
        let _ = writeln!(
            html,
            "<noscript><meta http-equiv=\"refresh\" content=\"{refresh}\"></noscript>"
        );
    }
    if let Some(href) = goes_to {
        let _ = writeln!(html, "<meta http-equiv=\"refresh\" content=\"3;url={href}\">");
    }
    let _ = writeln!(html, "<title>{title}</title>\n<style>\n{STYLE}</style>");
    if let Some(css) = css {
        let _ = writeln!(html, "<link rel=\"stylesheet\" href=\"{}\">", markup(css));
    }
    let _ = write!(
        html,
        "</head>\n<body>\n<a class=\"skip\" href=\"#live\">To the content</a>\n<header>\n\
         <h1>{title}</h1>\n{note}\n<nav aria-label=\"Views\">{nav}</nav>\n</header>\n\
         <main id=\"live\">\n{body}</main>\n\
         <footer><p>{} &#183; Licensed under the \
         <a href=\"http://www.apache.org/licenses/LICENSE-2.0\">Apache License, Version 2.0</a>.\
         </p></footer>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        super::answer::VERSION
    );
    html.into_bytes()
}
