// Sorts a table (table.sortable) by its columns: a click on a head sorts by it, again the other way round; with Shift
// held it sorts within what is sorted already. Cells may say by what (data-sort). Without this script the table stands
// as it came.

const numbers = new Intl.Collator("en", { numeric: true });

function value(row, column) {
  const cell = row.cells[column];
  return cell ? cell.dataset.sort ?? cell.textContent.trim() : "";
}

function compare(keys) {
  return (one, other) => {
    for (const { column, down } of keys) {
      const order = numbers.compare(value(one, column), value(other, column));
      if (order) return down ? -order : order;
    }
    return 0;
  };
}

function arrange(table) {
  const keys = table.sortKeys || [];
  for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
    const place = keys.findIndex((key) => key.column === column);
    if (place < 0) head.removeAttribute("aria-sort");
    else head.setAttribute("aria-sort", keys[place].down ? "descending" : "ascending");
  }
  if (!keys.length) return;
  const body = table.tBodies[0];
  body.append(...[...body.rows].sort(compare(keys)));
}

function press(table, column, more) {
  const keys = table.sortKeys || [];
  const was = keys.find((key) => key.column === column);
  if (was && (more || keys.length === 1)) was.down = !was.down;
  else if (more) keys.push({ column, down: false });
  table.sortKeys = was || more ? keys : [{ column, down: false }];
  arrange(table);
}

function prepare(table) {
  for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
    if (!head.textContent.trim() || head.querySelector("button")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.title = "sort; with Shift within what is sorted already";
    button.append(...head.childNodes);
    button.addEventListener("click", (event) => press(table, column, event.shiftKey));
    head.append(button);
  }
}

function all() {
  document.querySelectorAll("table.sortable").forEach((table) => table.tHead && prepare(table));
}

all();
// A live page puts new parts in place of the old ones.
document.addEventListener("netci:replaced", all);
