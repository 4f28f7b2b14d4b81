//! One app's file.

use std::net::SocketAddr;

use common::port::edge::{Balance, TableRoute, Upstream};

use super::{FilesSettings, MARK};

/// nginx takes no higher number; it has fewer connections than that.
const MOST_CONNECTIONS: u32 = 65_535;
const LARGEST_BODY_BYTES: u64 = 1024 * 1024 * 1024;
const LONGEST_SILENCE_SECONDS: u32 = 60 * 60;

/// A name of nginx's variables and zones: the front port is this app's alone.
struct Names {
    port: u16,
}

impl Names {
    fn of(&self, what: &str) -> String {
        format!("avishkar_{}_{what}", self.port)
    }
}

pub(super) fn file(route: &TableRoute, settings: &FilesSettings) -> String {
    let names = Names { port: route.front_port };
    let mut text = format!("{MARK}\n");
    if !route.upstreams.is_empty() {
        upstream(&mut text, route, &group(route), &route.upstreams);
        if route.options.sticky {
            sticky(&mut text, route, &names);
        }
    }
    zones(&mut text, route, &names);
    text.push_str("server {\n");
    let listen = |port| format!("  listen {};\n", SocketAddr::new(settings.listen, port));
    text.push_str(&listen(route.front_port));
    text.push_str(&listen(settings.host_port));
    let label = route.host.as_str();
    let hosts = route.options.hosts.iter().map(|host| format!(" {host}"));
    let hosts: String = hosts.collect();
    text.push_str(&format!("  server_name {label} {label}.*{hosts};\n"));
    let log = settings.access_log.display();
    text.push_str(&format!("  access_log \"{log}\" avishkar buffer=64k flush=250ms;\n"));
    if route.upstreams.is_empty() {
        text.push_str(STARTING);
    } else {
        limits(&mut text, route, &names);
        text.push_str(&location(route, &names));
        text.push_str(PROXYING);
        text.push_str(&failures(route));
    }
    text.push_str("}\n");
    text
}

/// What document 001 calls it.
fn group(route: &TableRoute) -> String {
    format!("{}_servers", route.instance)
}

fn upstream(text: &mut String, route: &TableRoute, name: &str, upstreams: &[Upstream]) {
    text.push_str(&format!("upstream {name} {{\n"));
    if route.options.balance == Balance::LeastConnections {
        text.push_str("  least_conn;\n");
    }
    for upstream in upstreams {
        text.push_str(&format!("  server {}{};\n", upstream.address(), weight(upstream)));
    }
    text.push_str("}\n");
}

fn weight(upstream: &Upstream) -> String {
    match u16::from(upstream.weight) {
        1 => String::new(),
        weight => format!(" weight={weight}"),
    }
}

/// A group per replica, with the others behind it; a cookie says which of them.
fn sticky(text: &mut String, route: &TableRoute, names: &Names) {
    let (all, cookie) = (group(route), cookie(route));
    let of_slot = |upstream: &Upstream| format!("{all}_{}", upstream.slot.0);
    for own in &route.upstreams {
        text.push_str(&format!("upstream {} {{\n  server {};\n", of_slot(own), own.address()));
        for other in route.upstreams.iter().filter(|other| *other != own) {
            text.push_str(&format!("  server {} backup;\n", other.address()));
        }
        text.push_str("}\n");
    }
    let at = names.of("at");
    text.push_str(&format!("map $http_cookie ${at} {{\n  default {all};\n"));
    for upstream in &route.upstreams {
        let slot = upstream.slot.0;
        let line = format!("  \"~(?:^|; *){cookie}={slot}(?:;|$)\" {};\n", of_slot(upstream));
        text.push_str(&line);
    }
    // nginx lists its tries: the last is the one that answered.
    text.push_str(&format!(
        "}}\nmap \"${at} $upstream_addr\" ${} {{\n  default \"\";\n",
        names.of("met")
    ));
    for upstream in &route.upstreams {
        let (address, slot) = (escaped(&upstream.address().to_string()), upstream.slot.0);
        let known = of_slot(upstream);
        text.push_str(&format!("  \"~^{known} (?:.*, )?{address}$\" \"\";\n"));
        text.push_str(&format!(
            "  \"~[ ]{address}$\" \"{cookie}={slot}; Path=/; HttpOnly; SameSite=Lax\";\n"
        ));
    }
    text.push_str("}\n");
}

fn cookie(route: &TableRoute) -> String {
    format!("avishkar-{}", route.host.as_str())
}

/// An address as a regular expression.
fn escaped(address: &str) -> String {
    let mut text = String::new();
    for character in address.chars() {
        if matches!(character, '.' | '[' | ']') {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

fn zones(text: &mut String, route: &TableRoute, names: &Names) {
    if let Some(rate) = route.options.requests_per_second {
        let zone = names.of("requests");
        text.push_str(&format!(
            "limit_req_zone $avishkar_counted zone={zone}:32k rate={rate}r/s;\n"
        ));
    }
    if route.options.connections.is_some() {
        let zone = names.of("connections");
        text.push_str(&format!("limit_conn_zone $avishkar_counted zone={zone}:32k;\n"));
    }
}

fn limits(text: &mut String, route: &TableRoute, names: &Names) {
    let options = &route.options;
    let bytes = options.max_body_bytes.unwrap_or(LARGEST_BODY_BYTES);
    let silence = options.timeout_seconds.unwrap_or(LONGEST_SILENCE_SECONDS);
    let line = format!("  client_max_body_size {bytes};\n  proxy_read_timeout {silence}s;\n");
    text.push_str(&line);
    if let Some(rate) = options.requests_per_second {
        let zone = names.of("requests");
        text.push_str(&format!(
            "  limit_req zone={zone} burst={rate} nodelay;\n  limit_req_status 429;\n"
        ));
    }
    if let Some(connections) = options.connections {
        let (zone, most) = (names.of("connections"), connections.min(MOST_CONNECTIONS));
        text.push_str(&format!("  limit_conn {zone} {most};\n  limit_conn_status 503;\n"));
    }
}

fn location(route: &TableRoute, names: &Names) -> String {
    if route.options.sticky {
        let (at, met) = (names.of("at"), names.of("met"));
        format!(
            "  location / {{ proxy_pass http://${at}; add_header Set-Cookie ${met} always; }}\n"
        )
    } else {
        format!("  location / {{ proxy_pass http://{}; }}\n", group(route))
    }
}

/// As the platform's own edge does it. Connections to replicas are not kept: each stands for one request.
const PROXYING: &str = r"  proxy_http_version 1.1;
  proxy_set_header Host $avishkar_host;
  proxy_set_header Connection $avishkar_connection;
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Host $avishkar_host;
  proxy_set_header X-Forwarded-Port $server_port;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Request-Id $avishkar_request_id;
  proxy_buffering off;
  proxy_request_buffering off;
  proxy_connect_timeout 1500ms;
  proxy_send_timeout 60s;
  proxy_next_upstream error timeout;
  proxy_next_upstream_timeout 10s;
  proxy_ignore_headers X-Accel-Redirect X-Accel-Expires X-Accel-Limit-Rate X-Accel-Buffering X-Accel-Charset;
";

const STARTING: &str = r#"  default_type application/json;
  add_header Cache-Control no-store always;
  add_header Retry-After 1 always;
  location / { return 503 '{"code":"APP_STARTING","detail":"the app has no replica yet, ask again in a moment"}'; }
"#;

/// What nginx itself says instead of an app; an app's own answers are its own.
fn failures(route: &TableRoute) -> String {
    let options = &route.options;
    let bytes = options.max_body_bytes.unwrap_or(LARGEST_BODY_BYTES);
    let mut pages = vec![
        (413, "BODY_TOO_LARGE", format!("the app takes at most {bytes} bytes"), Retry::Never),
        (502, "REPLICA_UNREACHABLE", "the app's replica did not answer".to_owned(), Retry::Soon),
        (
            504,
            "REPLICA_TIMEOUT",
            "the app's replica did not answer in time".to_owned(),
            Retry::Never,
        ),
    ];
    if let Some(rate) = options.requests_per_second {
        pages.push((
            429,
            "RATE_LIMITED",
            format!("the app takes {rate} requests per second"),
            Retry::Soon,
        ));
    }
    if let Some(most) = options.connections {
        pages.push((
            503,
            "CONNECTIONS_LIMITED",
            format!("the app takes {most} requests at once"),
            Retry::Soon,
        ));
    }
    let mut text = String::new();
    for (status, code, detail, retry) in pages {
        let detail = detail.replace('\'', "\\'");
        let again = match retry {
            Retry::Soon => "add_header Retry-After 1 always; ",
            Retry::Never => "",
        };
        let page = format!("@failed_{status}");
        let location = format!(
            "  error_page {status} = {page};\n  location {page} {{ default_type application/json; {again}add_header \
             Cache-Control no-store always; return {status} '{{\"code\":\"{code}\",\"detail\":\"{detail}\"}}'; }}\n"
        );
        text.push_str(&location);
    }
    text
}

enum Retry {
    Soon,
    Never,
}
