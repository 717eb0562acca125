using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;

namespace MultiCluster.Kubernetes.Querying;

/// <summary>Reads the text of one field expression, once.</summary>
internal sealed class FieldExpressionParser(string text)
{
    private const int MaxSteps = 32;
    private const int MaxIndex = 1_000_000;

    // Longest first, so that '>' does not hide '>='.
    private static readonly (string Sign, FieldOperator Operator)[] Signs =
    [
        ("==", FieldOperator.Equal),
        ("!=", FieldOperator.NotEqual),
        (">=", FieldOperator.GreaterOrEqual),
        ("<=", FieldOperator.LessOrEqual),
        ("=", FieldOperator.Equal),
        (">", FieldOperator.Greater),
        ("<", FieldOperator.Less),
    ];

    private static readonly (string Word, FieldOperator Operator)[] Words =
    [
        ("notin", FieldOperator.NotIn),
        ("in", FieldOperator.In),
        ("exists", FieldOperator.Exists),
        ("!exists", FieldOperator.NotExists),
    ];

    private int _at;
    private FieldSyntaxError? _error;

    public bool TryParse([NotNullWhen(true)] out FieldExpression? expression, [NotNullWhen(false)] out FieldSyntaxError? error)
    {
        expression = Parse();
        error = expression is null ? _error ?? new FieldSyntaxError(_at, "The field selector cannot be read.") : null;
        return expression is not null;
    }

    private FieldExpression? Parse()
    {
        if (text.Length > FieldExpression.MaxLength)
        {
            Fail(FieldExpression.MaxLength, $"is {text.Length} characters long; at most {FieldExpression.MaxLength} are allowed");
            return null;
        }

        ImmutableArray<FieldCondition>.Builder conditions = ImmutableArray.CreateBuilder<FieldCondition>();
        while (true)
        {
            if (conditions.Count == FieldExpression.MaxConditions)
            {
                Fail(_at, $"has more than {FieldExpression.MaxConditions} conditions");
                return null;
            }

            if (ReadCondition() is not { } condition)
            {
                return null;
            }

            conditions.Add(condition);
            SkipBlanks();
            if (_at == text.Length)
            {
                return new FieldExpression(conditions.ToImmutable());
            }

            if (text[_at] != ',')
            {
                Fail(_at, $"has '{text[_at]}' where a comma or the end was expected; put quotes around a value that holds blanks or any of , ( ) = ! < >");
                return null;
            }

            _at++;
        }
    }

    private FieldCondition? ReadCondition()
    {
        SkipBlanks();
        bool denied = Peek() == '!';
        if (denied)
        {
            _at++;
            SkipBlanks();
        }

        if (ReadPath() is not { } path)
        {
            return null;
        }

        if (denied)
        {
            return new FieldCondition(path, FieldOperator.NotExists, []);
        }

        SkipBlanks();
        int start = _at;
        if (ReadOperator() is not { } operation)
        {
            Fail(start, $"lacks an operator after '{path}'; use one of = == != in notin exists !exists > >= < <=");
            return null;
        }

        switch (operation)
        {
            case FieldOperator.Exists or FieldOperator.NotExists:
                return new FieldCondition(path, operation, []);
            case FieldOperator.In or FieldOperator.NotIn:
                return ReadList() is { } values ? new FieldCondition(path, operation, values) : null;
            default:
                SkipBlanks();
                start = _at;
                if (ReadValue() is not { } value)
                {
                    return null;
                }

                bool ordered = operation is not (FieldOperator.Equal or FieldOperator.NotEqual);
                if (ordered && value.Kind == FieldLiteralKind.Text)
                {
                    Fail(start, $"compares '{path}' with '{value.Text}', which has no order; use a number, a quantity such as 500m or 1Gi, "
                        + "a time such as 2026-01-31T00:00:00Z, or now-1h");
                    return null;
                }

                return new FieldCondition(path, operation, [value]);
        }
    }

    private FieldPath? ReadPath()
    {
        int start = _at;
        ImmutableArray<FieldStep>.Builder steps = ImmutableArray.CreateBuilder<FieldStep>();
        if (Peek() == '.')
        {
            _at++;   // ".spec" is how jsonpath writes it
        }

        bool nameNext = true;
        while (true)
        {
            if (nameNext && FieldPath.IsPlainCharacter(Peek()))
            {
                int from = _at;
                while (FieldPath.IsPlainCharacter(Peek()))
                {
                    _at++;
                }

                steps.Add(FieldStep.Property(text[from.._at]));
            }
            else if (Peek() == '[' && (!nameNext || steps.Count == 0))
            {
                if (ReadBracket() is not { } step)
                {
                    return null;
                }

                steps.Add(step);
            }
            else
            {
                Fail(_at, steps.Count == 0
                    ? "lacks a field such as status.phase or metadata.labels['a.b/c']"
                    : $"lacks a field name after '{text[start.._at]}'; names with other characters than letters, digits, '_', '-' go in brackets: ['a.b/c']");
                return null;
            }

            if (steps.Count > MaxSteps)
            {
                Fail(start, $"has a path of more than {MaxSteps} steps");
                return null;
            }

            char next = Peek();
            if (next == '.')
            {
                _at++;
                nameNext = true;
            }
            else if (next == '[')
            {
                nameNext = false;
            }
            else
            {
                break;
            }
        }

        if (steps[0].Kind != FieldStepKind.Property)
        {
            Fail(start, "begins with an element of an array, but an object is no array; begin with a field such as spec");
            return null;
        }

        return new FieldPath(steps.ToImmutable());
    }

    private FieldStep? ReadBracket()
    {
        int start = _at++;
        FieldStep? step = null;
        if (Peek() is '\'' or '"')
        {
            if (ReadQuoted() is not { } name)
            {
                return null;
            }

            step = FieldStep.Property(name);
        }
        else if (Peek() == '*')
        {
            _at++;
            step = FieldStep.Every;
        }
        else
        {
            int from = _at;
            while (char.IsAsciiDigit(Peek()))
            {
                _at++;
            }

            if (int.TryParse(text.AsSpan(from, _at - from), NumberStyles.None, CultureInfo.InvariantCulture, out int index) && index <= MaxIndex)
            {
                step = FieldStep.At(index);
            }
        }

        if (step is null || Peek() != ']')
        {
            Fail(start, "has a bracket that is none of ['name'], [0], [*]");
            return null;
        }

        _at++;
        return step;
    }

    private FieldOperator? ReadOperator()
    {
        ReadOnlySpan<char> rest = text.AsSpan(_at);
        foreach ((string word, FieldOperator operation) in Words)
        {
            if (rest.StartsWith(word, StringComparison.Ordinal) && (rest.Length == word.Length || !FieldPath.IsPlainCharacter(rest[word.Length])))
            {
                _at += word.Length;
                return operation;
            }
        }

        foreach ((string sign, FieldOperator operation) in Signs)
        {
            if (rest.StartsWith(sign, StringComparison.Ordinal))
            {
                _at += sign.Length;
                return operation;
            }
        }

        return null;
    }

    private ImmutableArray<FieldLiteral>? ReadList()
    {
        SkipBlanks();
        if (Peek() != '(')
        {
            Fail(_at, "lacks '(' after in or notin; write in (a, b)");
            return null;
        }

        _at++;
        ImmutableArray<FieldLiteral>.Builder values = ImmutableArray.CreateBuilder<FieldLiteral>();
        while (true)
        {
            SkipBlanks();
            if (ReadValue() is not { } value)
            {
                return null;
            }

            values.Add(value);
            SkipBlanks();
            char next = Peek();
            if (next is not (',' or ')'))
            {
                Fail(_at, "lacks ',' or ')' in a list of values");
                return null;
            }

            _at++;
            if (next == ')')
            {
                return values.ToImmutable();
            }
        }
    }

    private FieldLiteral? ReadValue()
    {
        if (Peek() is '\'' or '"')
        {
            return ReadQuoted() is { } quoted ? new FieldLiteral(quoted, quoted: true) : null;
        }

        int start = _at;
        while (_at < text.Length && !char.IsWhiteSpace(text[_at]) && text[_at] is not (',' or '(' or ')' or '\'' or '"' or '=' or '!' or '<' or '>'))
        {
            _at++;
        }

        return new FieldLiteral(text[start.._at]);
    }

    private string? ReadQuoted()
    {
        int start = _at;
        char quote = text[_at++];
        var value = new StringBuilder();
        while (_at < text.Length)
        {
            char c = text[_at++];
            if (c == quote)
            {
                return value.ToString();
            }

            if (c == '\\')
            {
                if (Peek() is not ('\\' or '\'' or '"'))
                {
                    Fail(_at - 1, "has a backslash in quotes that stands before none of \\ ' \"");
                    return null;
                }

                c = text[_at++];
            }

            value.Append(c);
        }

        Fail(start, "has a quote that does not end");
        return null;
    }

    private char Peek() => _at < text.Length ? text[_at] : '\0';

    private void SkipBlanks()
    {
        while (_at < text.Length && char.IsWhiteSpace(text[_at]))
        {
            _at++;
        }
    }

    private void Fail(int position, string what) =>
        _error ??= new FieldSyntaxError(position, $"The field selector {what} (at character {Math.Min(position, text.Length) + 1}).");
}
