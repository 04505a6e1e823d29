//! Locations and ssh endpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use super::mistake::quoted;
use super::names::{Names, given};
use super::reader::{BadValue, Fields, Reading};
use super::{ssh_options, words};
use crate::model::{Endpoint, EndpointName, Location, LocationName, first_cycle};

/// How long a connection may take to come up where nothing is said.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// All locations.
pub(super) fn locations(reading: &mut Reading<'_>, file: &Fields<'_>) -> BTreeMap<LocationName, Location> {
    let mut locations = BTreeMap::new();
    for (name, fields) in file.named(reading, "locations") {
        let Some(key) = given(reading, &name) else { continue };
        let texts = |reading: &mut Reading<'_>, key, parse: fn(&str) -> words::Read<String>| {
            let texts = fields.texts(reading, key, parse).unwrap_or_default();
            texts.into_iter().map(toml::Spanned::into_inner).collect()
        };
        let location = Location {
            ssids: texts(reading, "ssids", words::pattern),
            connections: texts(reading, "connections", words::pattern),
            gateways: texts(reading, "gateways", words::gateway),
            subnets: texts(reading, "subnets", words::subnet),
        };
        if fields.present().all(|(key, _)| fields.list(reading, key).is_some_and(<[_]>::is_empty)) {
            let message = format!("the location {} can never be recognised", quoted(name.get_ref()));
            let help = "give it at least one of ssids, connections, gateways and subnets";
            reading.mistake(name.span(), BadValue::new(message).help(help));
        }
        locations.insert(key, location);
    }
    locations
}

/// What one endpoint says itself.
struct Layer {
    /// The place of its name.
    place: Range<usize>,
    extends: Option<EndpointName>,
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    key: Option<PathBuf>,
    locations: Option<Vec<LocationName>>,
    proxy_jump: Option<Vec<EndpointName>>,
    connect_timeout: Option<Duration>,
    known_hosts: Option<PathBuf>,
    options: Option<Vec<String>>,
    /// Whether something that may hold its host was said, though wrongly.
    vague: Vague,
}

/// Whether the host of an endpoint may be missing only because of another mistake.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Vague {
    Yes,
    No,
}

/// All endpoints, `extends` resolved.
pub(super) fn endpoints(
    reading: &mut Reading<'_>,
    file: &Fields<'_>,
    names: &Names<'_>,
    locations: &Names<'_>,
) -> BTreeMap<EndpointName, Endpoint> {
    let mut layers = BTreeMap::new();
    for (name, fields) in file.named(reading, "ssh-endpoints") {
        let layer = layer(reading, &fields, name.span(), names, locations);
        if let Some(name) = given::<EndpointName>(reading, &name) {
            layers.insert(name, layer);
        }
    }
    let bases = layers.iter().map(|(name, layer)| (name.clone(), layer.extends.clone().into_iter().collect()));
    if cyclic(reading, &layers, &bases.collect(), "extends") {
        return BTreeMap::new();
    }
    let endpoints: BTreeMap<_, _> =
        layers.keys().filter_map(|name| Some((name.clone(), resolved(reading, &layers, name)?))).collect();
    let hops = endpoints.iter().map(|(name, endpoint)| (name.clone(), endpoint.proxy_jump.iter().cloned().collect()));
    cyclic(reading, &layers, &hops.collect(), "proxy-jump");
    endpoints
}

fn layer(
    reading: &mut Reading<'_>,
    fields: &Fields<'_>,
    place: Range<usize>,
    names: &Names<'_>,
    locations: &Names<'_>,
) -> Layer {
    let context = reading.context;
    let extends = fields.parsed(reading, "extends", |text| Ok(text.to_owned()));
    let extends = extends.and_then(|text| names.reference(reading, &text));
    let host = fields.parsed(reading, "host", ssh_options::host).map(toml::Spanned::into_inner);
    let wrong = |key, read: bool| fields.get(key).is_some() && !read;
    let vague =
        if wrong("host", host.is_some()) || wrong("extends", extends.is_some()) { Vague::Yes } else { Vague::No };
    let mut path = |key| {
        let path = fields.parsed(reading, key, |text| words::operand(text).and_then(|text| words::path(text, context)));
        path.map(toml::Spanned::into_inner)
    };
    let (key, known_hosts) = (path("key"), path("known-hosts"));
    let options = fields.texts(reading, "options", ssh_options::option);
    Layer {
        place,
        extends,
        host,
        port: fields.whole(reading, "port").and_then(|port| port.try_into().ok()),
        user: fields.parsed(reading, "user", ssh_options::user).map(toml::Spanned::into_inner),
        key,
        locations: locations.references(reading, fields, "locations"),
        proxy_jump: names.references(reading, fields, "proxy-jump"),
        connect_timeout: fields.parsed(reading, "connect-timeout", words::some_time).map(toml::Spanned::into_inner),
        known_hosts,
        options: options.map(|options| options.into_iter().map(toml::Spanned::into_inner).collect()),
        vague,
    }
}

/// Notes a cycle and says whether there is one.
fn cyclic(
    reading: &mut Reading<'_>,
    layers: &BTreeMap<EndpointName, Layer>,
    edges: &BTreeMap<EndpointName, BTreeSet<EndpointName>>,
    key: &str,
) -> bool {
    let Some(mut cycle) = first_cycle(edges) else { return false };
    // Found from each name to what stands before it: read backwards it goes the way it was written.
    cycle.reverse();
    let start = cycle.first().cloned();
    let way: Vec<_> = cycle.iter().chain(start.iter()).map(|name| format!("`{name}`")).collect();
    let place = start.and_then(|name| layers.get(&name)).map_or(0..0, |layer| layer.place.clone());
    let message = format!("`{key}` goes round in a circle: {}", way.join(" -> "));
    reading.mistake(place, BadValue::new(message).help("take one of them out of it"));
    true
}

/// An endpoint with what it takes from those that it extends.
fn resolved(
    reading: &mut Reading<'_>,
    layers: &BTreeMap<EndpointName, Layer>,
    name: &EndpointName,
) -> Option<Endpoint> {
    let chain: Vec<&Layer> =
        std::iter::successors(layers.get(name), |layer| layers.get(layer.extends.as_ref()?)).collect();
    let own = chain.first()?;
    let Some(host) = chain.iter().find_map(|layer| layer.host.clone()) else {
        if chain.iter().all(|layer| layer.vague == Vague::No) {
            let problem = BadValue::new(format!("the endpoint `{name}` has no `host`"));
            reading.mistake(own.place.clone(), problem.help("write host = \"NAME\", or extends = \"ENDPOINT\""));
        }
        return None;
    };
    Some(Endpoint {
        name: name.clone(),
        host,
        port: chain.iter().find_map(|layer| layer.port),
        user: chain.iter().find_map(|layer| layer.user.clone()),
        key: chain.iter().find_map(|layer| layer.key.clone()),
        locations: chain.iter().find_map(|layer| layer.locations.clone()).unwrap_or_default(),
        proxy_jump: chain.iter().find_map(|layer| layer.proxy_jump.clone()).unwrap_or_default(),
        connect_timeout: chain.iter().find_map(|layer| layer.connect_timeout).unwrap_or(CONNECT_TIMEOUT),
        known_hosts: chain.iter().find_map(|layer| layer.known_hosts.clone()),
        options: chain.iter().find_map(|layer| layer.options.clone()).unwrap_or_default(),
    })
}
