//! Terraform's configuration language: the connectors of a `.tf` file, as far as their values stand in it.

use std::cell::Cell;
use std::collections::BTreeSet;

use hcl::eval::{Context, Evaluate, FuncArgs, FuncDef, ParamType};
use hcl::expr::{Expression, FuncCall, ObjectKey, TemplateExpr, Traversal, TraversalOperator};
use hcl::structure::{Block, Body};
use hcl::template::{Element, Template};
use serde_json::{Map, Value};

use super::object::{Object, RESOURCE, connector};
use crate::connector::Warning;
use crate::error::{Error, Result};

/// How much text all values of a file may become, in bytes: locals within locals could double it at every step.
const LONGEST: usize = 16 << 20;
/// How deep locals may stand within locals.
const ROUNDS: usize = 16;
/// How much longer `jsonencode` can make a text: a control character becomes six.
const JSON_GROWTH: usize = 6;

/// Every resource of a configuration. Errors and findings quote nothing of it but names: literals may be secrets.
pub(super) fn objects(text: &str) -> Result<Vec<Object>> {
    let body = hcl::parse(text).map_err(|error| {
        let place = match &error {
            hcl::Error::Parse(error) => {
                let location = error.location();
                format!(
                    ": it goes wrong at line {}, column {}: {}",
                    location.line(),
                    location.column(),
                    error.message()
                )
            }
            _ => String::new(),
        };
        Error::config(
            "import",
            format!("this is no valid configuration of Terraform{place}"),
        )
    })?;
    let locals = Locals::of(&body);
    let mut found = Vec::new();
    for block in body.blocks().filter(|block| block.identifier() == "resource") {
        found.push(resource(block, &locals)?);
    }
    Ok(found)
}

fn resource(block: &Block, locals: &Locals) -> Result<Object> {
    let label = |place: usize| block.labels().get(place).map_or("", |label| label.as_str());
    let (kind, name) = (label(0), label(1));
    if kind != RESOURCE {
        return Ok(Object::Other {
            name: name.to_owned(),
            kind: kind.to_owned(),
        });
    }
    let mut reading = Reading {
        locals,
        open: Vec::new(),
    };
    let mut map = Map::new();
    for attribute in block.body().attributes() {
        let field = attribute.key();
        if ["name", "connector_type_id", "config", "secrets"].contains(&field) {
            map.insert(field.to_owned(), reading.document(field, attribute.expr()));
        }
    }
    // Those of a name that stands elsewhere are told apart by what they are called in the file.
    if !map.get("name").is_some_and(Value::is_string) || reading.is_open("name") {
        map.insert("name".to_owned(), Value::from(name));
    }
    if reading.is_open("connector_type_id") {
        map.remove("connector_type_id");
    }
    map.entry("config").or_insert(Value::Null);
    let mut object = connector(map)?;
    if let Object::Connector { open, .. } = &mut object {
        *open = reading.open;
    }
    Ok(object)
}

/// What one resource says, and which of it stands elsewhere.
struct Reading<'a> {
    locals: &'a Locals,
    open: Vec<Warning>,
}

impl Reading<'_> {
    /// The value of an attribute, `jsonencode` around it taken off: what it holds is known field by field.
    fn document(&mut self, path: &str, expression: &Expression) -> Value {
        match expression {
            Expression::Parenthesis(inner) => self.document(path, inner),
            Expression::FuncCall(call) if is_jsonencode(call) && is_document(&call.args[0]) => {
                self.value(path, &call.args[0])
            }
            _ => match self.value(path, expression) {
                _ if self.is_open(path) && ["config", "secrets"].contains(&path) => Value::Null,
                value => value,
            },
        }
    }

    fn value(&mut self, path: &str, expression: &Expression) -> Value {
        if let Some(value) = self.locals.evaluated(expression) {
            return value;
        }
        match expression {
            Expression::Parenthesis(inner) => self.value(path, inner),
            Expression::Object(object) => {
                let mut map = Map::new();
                for (key, inner) in object {
                    let Some(key) = self.key(path, key) else { continue };
                    let value = self.value(&format!("{path}.{key}"), inner);
                    map.insert(key, value);
                }
                Value::Object(map)
            }
            Expression::Array(list) => {
                let items = list.iter().enumerate();
                items
                    .map(|(at, inner)| self.value(&format!("{path}[{at}]"), inner))
                    .collect()
            }
            _ => {
                let mut names = BTreeSet::new();
                elsewhere(expression, self.locals, &mut names);
                let names: Vec<String> = names.into_iter().collect();
                self.open.push(Warning {
                    field: path.to_owned(),
                    message: match names.is_empty() {
                        true => "is too long once it is evaluated".to_owned(),
                        false => format!(
                            "depends on {}, which is not evaluated: write the value here, or import what `terraform \
                             show -json` prints",
                            names.join(", ")
                        ),
                    },
                });
                // A secret is asked for by its name; anything else shows what is to be put there.
                match path.starts_with("secrets") {
                    true => Value::from(""),
                    false => Value::from(source(expression)),
                }
            }
        }
    }

    fn key(&mut self, path: &str, key: &ObjectKey) -> Option<String> {
        let expression = match key {
            ObjectKey::Identifier(name) => return Some(name.to_string()),
            ObjectKey::Expression(expression) => expression,
            _ => return None,
        };
        match self.locals.evaluated(expression) {
            Some(Value::String(name)) => Some(name),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => {
                self.open.push(Warning {
                    field: path.to_owned(),
                    message: "has a field whose name is not evaluated: write it out".to_owned(),
                });
                None
            }
        }
    }

    fn is_open(&self, path: &str) -> bool {
        self.open.iter().any(|open| open.field == path)
    }
}

/// The local values that are literal, or made of such.
struct Locals {
    values: hcl::Map<String, hcl::Value>,
    context: Context<'static>,
    left: Cell<usize>,
}

impl Locals {
    fn of(body: &Body) -> Locals {
        let mut locals = Locals {
            values: hcl::Map::new(),
            context: Context::new(),
            left: Cell::new(LONGEST),
        };
        let encode = FuncDef::builder().param(ParamType::Any).build(jsonencode);
        locals.context.declare_func("jsonencode", encode);
        let blocks = body.blocks().filter(|block| block.identifier() == "locals");
        let mut open: Vec<(&str, &Expression)> = blocks
            .flat_map(|block| block.body().attributes())
            .map(|attribute| (attribute.key(), attribute.expr()))
            .collect();
        // They may stand in any order.
        for _ in 0..ROUNDS {
            let mut known = Vec::new();
            open.retain(|(name, expression)| match locals.hcl_value(expression) {
                Some(value) => {
                    known.push(((*name).to_owned(), value));
                    false
                }
                None => true,
            });
            if known.is_empty() {
                break;
            }
            locals.values.extend(known);
            let all = hcl::Value::Object(locals.values.clone());
            locals.context.declare_var("local", all);
        }
        locals
    }

    fn evaluated(&self, expression: &Expression) -> Option<Value> {
        serde_json::to_value(self.hcl_value(expression)?).ok()
    }

    fn hcl_value(&self, expression: &Expression) -> Option<hcl::Value> {
        let size = self.size(expression)?;
        self.left.set(self.left.get().checked_sub(size)?);
        expression.evaluate(&self.context).ok()
    }

    /// How long the value becomes at most; none when it cannot be had from the file. Only what is counted here is evaluated.
    fn size(&self, expression: &Expression) -> Option<usize> {
        match expression {
            Expression::Null | Expression::Bool(_) | Expression::Number(_) => Some(32),
            Expression::String(text) => Some(text.len()),
            Expression::Parenthesis(inner) => self.size(inner),
            Expression::Array(list) => sum(list.iter().map(|inner| self.size(inner))),
            Expression::Object(object) => sum(object.iter().map(|(key, inner)| {
                let key = match key {
                    ObjectKey::Identifier(name) => Some(name.len()),
                    ObjectKey::Expression(key) => self.size(key),
                    _ => None,
                };
                Some(key?.saturating_add(self.size(inner)?))
            })),
            Expression::FuncCall(call) if is_jsonencode(call) => {
                let inner = self.size(&call.args[0])?;
                Some(inner.saturating_mul(JSON_GROWTH).saturating_add(2))
            }
            Expression::Traversal(traversal) => Some(size_of(self.values.get(local(traversal)?)?)),
            Expression::TemplateExpr(template) => {
                let template = Template::from_expr(template).ok()?;
                sum(template.elements().iter().map(|element| match element {
                    Element::Literal(text) => Some(text.len()),
                    Element::Interpolation(inner) => self.size(&inner.expr),
                    _ => None,
                }))
            }
            _ => None,
        }
    }
}

fn sum(mut sizes: impl Iterator<Item = Option<usize>>) -> Option<usize> {
    sizes.try_fold(2usize, |sum, size| Some(sum.saturating_add(size?)))
}

/// The name in `local.NAME`; what is taken out of it further on is no longer than all of it.
fn local(traversal: &Traversal) -> Option<&str> {
    let Expression::Variable(variable) = &traversal.expr else {
        return None;
    };
    match traversal.operators.first() {
        Some(TraversalOperator::GetAttr(name)) if variable.as_str() == "local" => {
            let rest = &traversal.operators[1..];
            let plain = rest.iter().all(|operator| {
                matches!(
                    operator,
                    TraversalOperator::GetAttr(_) | TraversalOperator::LegacyIndex(_)
                )
            });
            plain.then_some(name.as_str())
        }
        _ => None,
    }
}

fn size_of(value: &hcl::Value) -> usize {
    match value {
        hcl::Value::String(text) => text.len(),
        hcl::Value::Array(list) => list
            .iter()
            .fold(2, |sum: usize, inner| sum.saturating_add(size_of(inner))),
        hcl::Value::Object(map) => map.iter().fold(2, |sum: usize, (name, inner)| {
            sum.saturating_add(name.len()).saturating_add(size_of(inner))
        }),
        _ => 32,
    }
}

fn is_jsonencode(call: &FuncCall) -> bool {
    let plain = !call.name.is_namespaced() && !call.expand_final && call.args.len() == 1;
    plain && call.name.name.as_str() == "jsonencode"
}

fn is_document(expression: &Expression) -> bool {
    match expression {
        Expression::Parenthesis(inner) => is_document(inner),
        expression => matches!(expression, Expression::Object(_)),
    }
}

/// As Terraform writes JSON: names in order, and these five characters never as they are.
fn jsonencode(args: FuncArgs) -> std::result::Result<hcl::Value, String> {
    let value = args.iter().next().ok_or("a value is missing")?;
    let value = serde_json::to_value(value).map_err(|error| error.to_string())?;
    let mut text = String::new();
    for c in value.to_string().chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => text.push(c),
        }
    }
    Ok(hcl::Value::from(text))
}

/// What keeps an expression from being evaluated: names of variables and functions, kinds of expressions.
fn elsewhere(expression: &Expression, locals: &Locals, names: &mut BTreeSet<String>) {
    if locals.size(expression).is_some() {
        return;
    }
    match expression {
        Expression::Variable(variable) => {
            names.insert(variable.to_string());
        }
        Expression::Traversal(traversal) => match &traversal.expr {
            Expression::Variable(variable) => {
                let mut name = variable.to_string();
                for operator in &traversal.operators {
                    match operator {
                        TraversalOperator::GetAttr(attribute) => name.push_str(&format!(".{attribute}")),
                        _ => break,
                    }
                }
                names.insert(name);
            }
            inner => elsewhere(inner, locals, names),
        },
        Expression::FuncCall(call) => {
            if !is_jsonencode(call) {
                names.insert(format!("{}()", call.name));
            }
            call.args.iter().for_each(|inner| elsewhere(inner, locals, names));
        }
        Expression::Parenthesis(inner) => elsewhere(inner, locals, names),
        Expression::Array(list) => list.iter().for_each(|inner| elsewhere(inner, locals, names)),
        Expression::Object(object) => object.values().for_each(|inner| elsewhere(inner, locals, names)),
        Expression::TemplateExpr(template) => {
            let Ok(template) = Template::from_expr(template) else {
                return;
            };
            for element in template.elements() {
                match element {
                    Element::Interpolation(inner) => elsewhere(&inner.expr, locals, names),
                    Element::Directive(_) => drop(names.insert("a %{...} in a text".to_owned())),
                    Element::Literal(_) => {}
                }
            }
        }
        Expression::Conditional(_) => drop(names.insert("a condition".to_owned())),
        Expression::Operation(_) => drop(names.insert("an operator".to_owned())),
        Expression::ForExpr(_) => drop(names.insert("a for".to_owned())),
        _ => drop(names.insert("an expression".to_owned())),
    }
}

/// The expression as it stands in the file, as a text in which it can be replaced.
fn source(expression: &Expression) -> String {
    match expression {
        Expression::TemplateExpr(template) => match &**template {
            TemplateExpr::QuotedString(text) => text.clone(),
            TemplateExpr::Heredoc(heredoc) => heredoc.template.clone(),
        },
        expression => format!("${{{expression}}}"),
    }
}
