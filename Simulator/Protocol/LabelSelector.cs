using System.Text.RegularExpressions;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Protocol;

/// <summary>A label selector such as <c>app=web,tier in (a,b),!old</c>.</summary>
internal sealed partial class LabelSelector
{
    public static readonly LabelSelector Everything = new([]);

    private readonly List<Requirement> _requirements;

    private LabelSelector(List<Requirement> requirements) => _requirements = requirements;

    private enum Operator { Exists, NotExists, In, NotIn, Greater, Less }

    public bool IsEverything => _requirements.Count == 0;

    /// <summary>Parses the form of the URL parameter.</summary>
    /// <exception cref="StatusException">400 in the words of the real server.</exception>
    public static LabelSelector Parse(string? text)
    {
        if (string.IsNullOrEmpty(text))
        {
            return Everything;
        }

        var lexer = new Lexer(text);
        var requirements = new List<Requirement>();
        while (true)
        {
            requirements.Add(ParseRequirement(lexer));
            string next = lexer.Next();
            if (next.Length == 0)
            {
                return new LabelSelector(requirements);
            }

            if (next != ",")
            {
                throw Fault($"found '{next}', expected: ',' or 'end of string'");
            }
        }
    }

    public bool Matches(IReadOnlyList<KeyValuePair<string, string>> labels)
    {
        foreach (Requirement requirement in _requirements)
        {
            if (!requirement.Matches(labels))
            {
                return false;
            }
        }

        return true;
    }

    private static Requirement ParseRequirement(Lexer lexer)
    {
        string key = lexer.Next();
        bool negated = key == "!";
        if (negated)
        {
            key = lexer.Next();
        }

        if (!Lexer.IsWord(key))
        {
            throw Fault(key.Length == 0 && !negated
                ? "found '', expected: !, identifier, or 'end of string'"
                : $"found '{key}', expected: {(negated ? "identifier" : "!, identifier, or 'end of string'")}");
        }

        CheckKey(key);
        if (negated)
        {
            return new Requirement(key, Operator.NotExists, []);
        }

        switch (lexer.Peek())
        {
            case "" or ",":
                return new Requirement(key, Operator.Exists, []);
            case "=" or "==":
                lexer.Next();
                return new Requirement(key, Operator.In, [Value(lexer, key)]);
            case "!=":
                lexer.Next();
                return new Requirement(key, Operator.NotIn, [Value(lexer, key)]);
            case ">" or "<":
                bool greater = lexer.Next() == ">";
                return new Requirement(key, greater ? Operator.Greater : Operator.Less, [Value(lexer, key)]);
            case "in":
                lexer.Next();
                return new Requirement(key, Operator.In, Set(lexer, key));
            case "notin":
                lexer.Next();
                return new Requirement(key, Operator.NotIn, Set(lexer, key));
            case var other:
                throw Fault($"found '{other}', expected: in, notin, =, ==, !=, gt, lt");
        }
    }

    private static string Value(Lexer lexer, string key)
    {
        string value = Lexer.IsWord(lexer.Peek()) ? lexer.Next() : "";
        CheckValue(key, 0, value);
        return value;
    }

    private static string[] Set(Lexer lexer, string key)
    {
        string open = lexer.Next();
        if (open != "(")
        {
            throw Fault($"found '{open}' expected: '('");
        }

        var values = new List<string>();
        while (true)
        {
            values.Add(Lexer.IsWord(lexer.Peek()) ? lexer.Next() : "");
            CheckValue(key, values.Count - 1, values[^1]);
            switch (lexer.Next())
            {
                case ",":
                    continue;
                case ")":
                    return [.. values];
                case var other:
                    throw Fault($"found '{other}', expected: ',', or ')'");
            }
        }
    }

    private static void CheckKey(string key)
    {
        string name = key[(key.IndexOf('/') + 1)..];
        if (name.Length > 63 || !NameForm().IsMatch(name))
        {
            throw Fault(
                $"key: Invalid value: \"{key}\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
                + "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')");
        }
    }

    private static void CheckValue(string key, int index, string value)
    {
        if (value.Length > 63)
        {
            throw Fault($"values[{index}][{key}]: Invalid value: \"{value}\": must be no more than 63 characters");
        }

        if (value.Length > 0 && !NameForm().IsMatch(value))
        {
            throw Fault(
                $"values[{index}][{key}]: Invalid value: \"{value}\": a valid label must be an empty string or consist of alphanumeric characters, "
                + "'-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', "
                + "regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')");
        }
    }

    private static StatusException Fault(string why) => Refusal.BadRequest("unable to parse requirement: " + why);

    [GeneratedRegex("^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")]
    private static partial Regex NameForm();

    private sealed record Requirement(string Key, Operator Operator, string[] Values)
    {
        public bool Matches(IReadOnlyList<KeyValuePair<string, string>> labels)
        {
            string? value = null;
            for (int i = 0; i < labels.Count; i++)
            {
                if (labels[i].Key == Key)
                {
                    value = labels[i].Value;
                    break;
                }
            }

            return Operator switch
            {
                Operator.Exists => value is not null,
                Operator.NotExists => value is null,
                Operator.In => value is not null && Array.IndexOf(Values, value) >= 0,
                Operator.NotIn => value is null || Array.IndexOf(Values, value) < 0,
                Operator.Greater => Compare(value) > 0,
                _ => Compare(value) < 0,
            };
        }

        private int Compare(string? value) =>
            long.TryParse(value, out long left) && long.TryParse(Values[0], out long right) ? left.CompareTo(right) : 0;
    }

    private sealed class Lexer(string text)
    {
        private int _at;
        private string? _peeked;

        public static bool IsWord(string token) => token.Length > 0 && !IsSymbol(token[0]);

        public string Peek() => _peeked ??= Read();

        public string Next()
        {
            string token = Peek();
            _peeked = null;
            return token;
        }

        private static bool IsSymbol(char c) => c is '=' or '!' or '(' or ')' or ',' or '<' or '>';

        private string Read()
        {
            while (_at < text.Length && char.IsWhiteSpace(text[_at]))
            {
                _at++;
            }

            if (_at == text.Length)
            {
                return "";
            }

            int start = _at;
            if (IsSymbol(text[_at]))
            {
                _at++;
                if (text[start] is '=' or '!' && _at < text.Length && text[_at] == '=')
                {
                    _at++;
                }

                return text[start.._at];
            }

            while (_at < text.Length && !IsSymbol(text[_at]) && !char.IsWhiteSpace(text[_at]))
            {
                _at++;
            }

            return text[start.._at];
        }
    }
}
