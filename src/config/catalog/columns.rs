//! Columns for people.

/// Aligns columns two spaces apart under their headings, those that `right` names by their index flush right. The last
/// line does not end.
pub fn aligned<'a>(
    head: impl AsRef<[&'a str]>,
    rows: &[impl AsRef<[String]>],
    right: &[usize],
) -> String {
    let head: Vec<String> = head.as_ref().iter().map(|&cell| cell.into()).collect();
    let all = || std::iter::once(&head[..]).chain(rows.iter().map(AsRef::as_ref));
    let width = |column: usize| all().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..head.len()).filter_map(width).collect();
    let line = |row: &[String]| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(column, (cell, &width))| match right.contains(&column) {
            true => format!("{cell:>width$}"),
            false => format!("{cell:<width$}"),
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        line.trim_end().to_owned()
    };
    all().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            ["größe".to_owned(), "$1.50".to_owned()],
            ["a".to_owned(), "$10.00".to_owned()],
        ];
        let text = aligned(["ACCOUNT", "FREE"], &rows, &[1]);
        assert_eq!(text, "ACCOUNT    FREE\ngröße     $1.50\na        $10.00");
    }
}
