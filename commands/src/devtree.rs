//! `devtree`: the device tree that runs, shown and edited.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use crate::{Args, Command, Failed, Form, Session, tree};

pub(crate) const COMMAND: Command = Command {
    name: "devtree",
    about: "traverse the device tree",
    forms: &[
        Form { words: "attr show", arguments: "<node>", run: attr_show },
        Form { words: "attr set", arguments: "<node> <attr> <type> <value> ...", run: attr_set },
        Form { words: "attr get", arguments: "<node> <attr>", run: attr_get },
        Form { words: "attr del", arguments: "<node> <attr>", run: attr_del },
        Form { words: "node show", arguments: "<node>", run: node_show },
        Form { words: "node dump", arguments: "<node>", run: node_dump },
        Form { words: "node add", arguments: "<node> <name>", run: node_add },
        Form { words: "node copy", arguments: "<node> <name> <node>", run: node_copy },
        Form { words: "node del", arguments: "<node>", run: node_del },
    ],
};

fn attr_show(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let path = args.text(0)?;
    let lines = tree::with(|tree| -> Result<Vec<String>, Failed> {
        tree.require(path)?.properties().map(printed).collect()
    })?;
    for line in lines {
        writeln!(session, "\t{line};")?;
    }
    Ok(())
}

fn printed(property: fdt::Property<'_>) -> Result<String, Failed> {
    let mut text = String::new();
    property.print(&mut text)?;
    Ok(text)
}

fn attr_get(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let (path, name) = (args.text(0)?, args.text(1)?);
    let line = tree::with(|tree| printed(tree.require(path)?.require(name)?))?;
    writeln!(session, "{line};")?;
    Ok(())
}

fn attr_set(_: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let (path, name, kind) = (args.text(0)?, args.text(1)?, args.text(2)?);
    let values: Vec<&str> = args.rest(3).iter().map(String::as_str).collect();
    tree::with(|tree| {
        let node = tree.require(path)?.id();
        tree::set_from_words(tree, node, name, kind, &values)
    })
}

fn attr_del(_: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let (path, name) = (args.text(0)?, args.text(1)?);
    tree::with(|tree| {
        let node = tree.require(path)?;
        node.require(name)?;
        let node = node.id();
        tree.remove_property(node, name)?;
        Ok(())
    })
}

fn node_show(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let path = args.text(0)?;
    let lines = tree::with(|tree| -> Result<Vec<(usize, String)>, Failed> {
        let top = tree.require(path)?;
        let base = top.depth();
        Ok(core::iter::once(top)
            .chain(top.descendants())
            .map(|node| (node.depth().saturating_sub(base), node.name().to_string()))
            .collect())
    })?;
    for (depth, name) in lines {
        writeln!(session, "{:width$}{}", "", if name.is_empty() { "/" } else { &name }, width = depth * 2)?;
    }
    Ok(())
}

fn node_dump(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    // A copy, since printing may wait for the terminal.
    let copy = tree::copy_of(args.text(0)?)?;
    copy.root().print(session)?;
    Ok(())
}

fn node_add(_: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let (path, name) = (args.text(0)?, args.text(1)?);
    tree::with(|tree| {
        let parent = if path == tree::GUESTS { tree.add_path(path)? } else { tree.require(path)?.id() };
        tree.add(parent, name)?;
        Ok(())
    })
}

fn node_copy(_: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let (parent, name, source) = (args.text(0)?, args.text(1)?, args.text(2)?);
    if parent == tree::GUESTS {
        // A guest's phandles are its own, and its nodes refer to them.
        let copy = tree::copy_of(source)?;
        return tree::replace(parent, name, &copy);
    }
    tree::with(|tree| {
        let (parent, source) = (tree.require(parent)?.id(), tree.require(source)?.id());
        tree.copy(source, parent, name)?;
        Ok(())
    })
}

fn node_del(_: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let path = args.text(0)?;
    tree::with(|tree| {
        let node = tree.require(path)?.id();
        Ok(tree.remove(node)?)
    })
}
