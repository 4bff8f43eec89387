//! The floors' law: `floors.toml` against what the crates' manifests say.

use std::path::Path;

use anyhow::{Context as _, Result};
use tinyjson::JsonValue;

use crate::context::{Context, read_text};
use crate::setup::toolchain::Toolchain;
use crate::shell;

/// The part of the development machine that tests of any floor may use.
const FOR_TESTS: &str = "arch/hosted";

/// One crate depends on another of the workspace.
#[derive(Debug, PartialEq)]
struct Edge {
    /// The folder of the crate that depends.
    from: String,
    /// The folder of the crate that it depends on.
    to: String,
    only_in_tests: bool,
}

/// Which folders the crates of a folder may depend on.
pub(super) struct Law {
    floors: Vec<(String, Vec<String>)>,
}

impl Law {
    /// Reads the table `may-depend-on`.
    fn parse(text: &str) -> Result<Self> {
        let table: toml::Table = text.parse().map_err(|error| anyhow::anyhow!("{error}"))?;
        let floors =
            table.get("may-depend-on").and_then(toml::Value::as_table).context("no may-depend-on")?;
        let floors = floors.iter().map(|(folder, allowed)| {
            let allowed = allowed.as_array().into_iter().flatten();
            (folder.clone(), allowed.filter_map(|folder| folder.as_str().map(str::to_owned)).collect())
        });
        Ok(Self { floors: floors.collect() })
    }

    /// What is wrong with one dependency, if anything.
    fn breach(&self, edge: &Edge) -> Option<String> {
        let floors = self.floors.iter().filter(|(floor, _)| is_inside(&edge.from, floor));
        let Some((floor, allowed)) = floors.max_by_key(|(floor, _)| floor.len()) else {
            return Some(format!("{} is on no floor", edge.from));
        };
        let fine = allowed.iter().any(|folder| is_inside(&edge.to, folder));
        if fine || (edge.only_in_tests && edge.to == FOR_TESTS) {
            return None;
        }
        Some(format!(
            "{} depends on {}, and the floor {floor} may only on: {}",
            edge.from,
            edge.to,
            allowed.join(", ")
        ))
    }
}

/// Whether the folder `inner` is `outer` or lies in it.
pub(super) fn is_inside(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Compares the law with the workspace; every breach is printed.
pub(super) fn check(context: &Context) -> Result<bool> {
    let law =
        Law::parse(&read_text(&context.root.join("xtask/floors.toml"))?).context("in xtask/floors.toml")?;
    let mut cargo = Toolchain::cargo(context);
    let metadata = shell::ask(cargo.args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let mut well = true;
    for edge in edges(&context.root, &metadata)? {
        if let Some(breach) = law.breach(&edge) {
            let manifest = read_text(&context.root.join(&edge.from).join("Cargo.toml"))?;
            let name = edge.to.rsplit('/').next().unwrap_or_default();
            let place = manifest.lines().position(|line| line.contains(name)).map_or(1, |line| line + 1);
            eprintln!("{}/Cargo.toml:{place}: floors: {breach}", edge.from);
            well = false;
        }
    }
    Ok(well)
}

/// All dependencies between crates of the workspace.
fn edges(root: &Path, metadata: &str) -> Result<Vec<Edge>> {
    let metadata: JsonValue = metadata.parse().map_err(|error| anyhow::anyhow!("cargo metadata: {error}"))?;
    let folder = |path: &str| {
        let path = Path::new(path);
        path.strip_prefix(root).ok().map(|path| path.to_string_lossy().into_owned())
    };
    let mut edges = Vec::new();
    for package in list(&metadata, "packages") {
        let manifest = text(package, "manifest_path").context("a package without a manifest")?;
        let Some(from) = folder(manifest.trim_end_matches("/Cargo.toml")) else { continue };
        for dependency in list(package, "dependencies") {
            // Only crates of the workspace have a path.
            if let Some(to) = text(dependency, "path").and_then(folder) {
                let only_in_tests = text(dependency, "kind") == Some("dev");
                edges.push(Edge { from: from.clone(), to, only_in_tests });
            }
        }
    }
    Ok(edges)
}

fn member<'a>(value: &'a JsonValue, name: &str) -> Option<&'a JsonValue> {
    value.get::<std::collections::HashMap<String, JsonValue>>()?.get(name)
}

fn list<'a>(value: &'a JsonValue, name: &str) -> &'a [JsonValue] {
    member(value, name).and_then(JsonValue::get::<Vec<JsonValue>>).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a JsonValue, name: &str) -> Option<&'a str> {
    member(value, name)?.get::<String>().map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn law() -> Law {
        Law::parse(
            "[may-depend-on]\nlib = ['lib']\n'arch' = ['lib']\n'arch/select' = ['arch']\ndrivers = ['lib']\n",
        )
        .unwrap()
    }

    fn edge(from: &str, to: &str, only_in_tests: bool) -> Edge {
        Edge { from: from.to_owned(), to: to.to_owned(), only_in_tests }
    }

    #[test]
    fn a_dependency_downwards_is_lawful_and_upwards_is_not() {
        assert_eq!(law().breach(&edge("arch/aarch64", "lib/fdt", false)), None);
        assert!(law().breach(&edge("lib/fdt", "arch/aarch64", false)).is_some());
    }

    #[test]
    fn the_nearest_floor_counts() {
        assert_eq!(law().breach(&edge("arch/select", "arch/aarch64", false)), None);
        assert!(law().breach(&edge("arch/aarch64", "arch/hosted", false)).is_some());
    }

    #[test]
    fn tests_may_use_the_development_machine() {
        assert_eq!(law().breach(&edge("drivers", "arch/hosted", true)), None);
        assert!(law().breach(&edge("drivers", "arch/hosted", false)).is_some());
    }

    #[test]
    fn a_crate_on_no_floor_is_a_breach() {
        assert!(law().breach(&edge("library/x", "lib/fdt", false)).is_some());
    }

    #[test]
    fn edges_are_read_from_cargo_metadata() {
        let metadata = r#"{"packages":[{"manifest_path":"/w/vm/bus/Cargo.toml","dependencies":[
            {"name":"addr","kind":null,"path":"/w/lib/addr"},{"name":"log","kind":null},
            {"name":"arch-hosted","kind":"dev","path":"/w/arch/hosted"}]}]}"#;
        let edges = edges(Path::new("/w"), metadata).unwrap();
        assert_eq!(edges, [edge("vm/bus", "lib/addr", false), edge("vm/bus", "arch/hosted", true)]);
    }
}
