-- Question: Which views are there, and what does each answer?
-- Grain: One row per view of this dataset.
-- Columns:
--   view_name text: The view's name.
--   question text: The question that it answers.
--   grain text: What one row of it is.
--   note text: What to know before its numbers are believed; empty where there is nothing.
--   fingerprint text: What the views were made from; a sync makes them anew when it differs.
SELECT view_name, question, grain, note, fingerprint
FROM systems.questions
