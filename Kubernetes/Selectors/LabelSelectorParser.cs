using System.Collections.Immutable;
using System.Globalization;

namespace MultiCluster.Kubernetes.Selectors;

/// <summary>Reads the text form of a label selector, once.</summary>
/// <remarks>
/// The grammar is the API server's: words end at blanks and at any of <c>, ! = &lt; &gt; ( )</c>; an empty value is allowed after
/// <c>=</c>, <c>==</c>, <c>!=</c> and inside parentheses; <c>in</c> and <c>notin</c> are words like any other where a key is expected.
/// </remarks>
internal sealed class LabelSelectorParser(string text)
{
    private const string Delimiters = ",!=<>()";

    // Most characters of the selector that a fault quotes.
    private const int MaxShown = 120;

    private int _at;

    public ImmutableArray<LabelRequirement>? Parse(out string? error)
    {
        ImmutableArray<LabelRequirement>.Builder found = ImmutableArray.CreateBuilder<LabelRequirement>();
        while (true)
        {
            if (ReadRequirement(out error) is not { } requirement)
            {
                return null;
            }

            found.Add(requirement);
            SkipBlanks();
            if (_at == text.Length)
            {
                return found.ToImmutable();
            }

            if (text[_at] != ',')
            {
                error = Fault($"found '{text[_at]}' where a comma or the end was expected");
                return null;
            }

            _at++;
            SkipBlanks();
            if (_at == text.Length)
            {
                error = Fault("ends with a comma");
                return null;
            }
        }
    }

    private LabelRequirement? ReadRequirement(out string? error)
    {
        SkipBlanks();
        bool negated = TryTake('!');
        SkipBlanks();
        string key = ReadWord();
        if (key.Length == 0)
        {
            error = Fault(_at < text.Length ? $"found '{text[_at]}' where a label key was expected" : "lacks a label key at its end");
            return null;
        }

        if (LabelSyntax.CheckKey(key) is { } keyFault)
        {
            error = Fault($"has the label key '{key}', which {keyFault}");
            return null;
        }

        SkipBlanks();
        if (negated)
        {
            return Make(key, LabelOperator.DoesNotExist, [], out error);
        }

        if (_at == text.Length || text[_at] == ',')
        {
            return Make(key, LabelOperator.Exists, [], out error);
        }

        if (TryTake('='))
        {
            _ = TryTake('=');
            return ReadOne(key, LabelOperator.Equals, out error);
        }

        if (TryTake('>'))
        {
            return ReadOne(key, LabelOperator.GreaterThan, out error);
        }

        if (TryTake('<'))
        {
            return ReadOne(key, LabelOperator.LessThan, out error);
        }

        if (text[_at] == '!' && _at + 1 < text.Length && text[_at + 1] == '=')
        {
            _at += 2;
            return ReadOne(key, LabelOperator.NotEquals, out error);
        }

        string word = ReadWord();
        switch (word)
        {
            case "in":
                return ReadSet(key, LabelOperator.In, out error);
            case "notin":
                return ReadSet(key, LabelOperator.NotIn, out error);
            default:
                string seen = word.Length > 0 ? word : text[_at].ToString();
                error = Fault($"found '{seen}' after '{key}' where one of = == != in notin < > was expected");
                return null;
        }
    }

    private LabelRequirement? ReadOne(string key, LabelOperator op, out string? error)
    {
        SkipBlanks();
        string value = ReadWord();
        if (op is LabelOperator.GreaterThan or LabelOperator.LessThan
            && !long.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _))
        {
            error = Fault($"compares '{key}' with '{value}', which must be an integer");
            return null;
        }

        return Make(key, op, [value], out error);
    }

    private LabelRequirement? ReadSet(string key, LabelOperator op, out string? error)
    {
        SkipBlanks();
        if (!TryTake('('))
        {
            error = Fault($"lacks '(' after '{key} {(op == LabelOperator.In ? "in" : "notin")}'");
            return null;
        }

        var values = new SortedSet<string>(StringComparer.Ordinal);
        while (true)
        {
            SkipBlanks();
            _ = values.Add(ReadWord());
            SkipBlanks();
            if (TryTake(')'))
            {
                return Make(key, op, [.. values], out error);
            }

            if (!TryTake(','))
            {
                error = Fault(_at < text.Length ? $"found '{text[_at]}' where ',' or ')' was expected" : "lacks a ')' at its end");
                return null;
            }
        }
    }

    private LabelRequirement? Make(string key, LabelOperator op, ImmutableArray<string> values, out string? error)
    {
        foreach (string value in values)
        {
            if (LabelSyntax.CheckValue(value) is { } fault)
            {
                error = Fault($"has the value '{value}' for '{key}', which {fault}");
                return null;
            }
        }

        error = null;
        return new LabelRequirement(key, op, values);
    }

    // Of a long selector only what is around the fault; the whole would drown it.
    private string Fault(string what) => text.Length <= MaxShown
        ? $"The label selector '{text}' {what} (position {_at})."
        : $"The label selector {(what.Length <= 3 * MaxShown ? what : $"{what.AsSpan(0, MaxShown)}...{what.AsSpan(what.Length - MaxShown)}")} (position {_at}, near '{text.AsSpan(Math.Clamp(_at - (MaxShown / 2), 0, text.Length - MaxShown), MaxShown)}').";

    private bool TryTake(char wanted)
    {
        if (_at < text.Length && text[_at] == wanted)
        {
            _at++;
            return true;
        }

        return false;
    }

    private void SkipBlanks()
    {
        while (_at < text.Length && text[_at] is ' ' or '\t' or '\r' or '\n')
        {
            _at++;
        }
    }

    private string ReadWord()
    {
        int start = _at;
        while (_at < text.Length && text[_at] is not (' ' or '\t' or '\r' or '\n') && !Delimiters.Contains(text[_at], StringComparison.Ordinal))
        {
            _at++;
        }

        return text[start.._at];
    }
}
