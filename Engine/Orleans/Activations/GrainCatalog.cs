using System.Collections.Frozen;
using System.Reflection;
using Orleans.Configuration;
using Orleans.Runtime;

namespace MultiCluster.Engine.Actors;

/// <summary>Which grain classes there are and which interface leads to which.</summary>
internal sealed class GrainCatalog
{
    private readonly FrozenDictionary<GrainType, GrainClass> _byType;
    private readonly FrozenDictionary<Type, GrainClass[]> _byInterface;

    public GrainCatalog(IEnumerable<Type> classes, GrainCollectionOptions collection)
    {
        GrainClass[] all = classes.Select(type => new GrainClass(type, collection)).ToArray();
        foreach (IGrouping<GrainType, GrainClass> same in all.GroupBy(c => c.GrainType).Where(g => g.Count() > 1))
        {
            throw new OrleansConfigurationException(
                $"Grain type \"{same.Key}\" is claimed by {string.Join(" and ", same.Select(c => c.Type.FullName))}; give one of them a [GrainType].");
        }

        _byType = all.ToFrozenDictionary(c => c.GrainType);
        _byInterface = all.SelectMany(c => c.Interfaces.Select(i => (Interface: i, Class: c)))
            .GroupBy(pair => pair.Interface)
            .ToFrozenDictionary(g => g.Key, g => g.Select(pair => pair.Class).ToArray());
    }

    /// <summary>Every grain class in the loaded assemblies that reference this one, and in those that they reference.</summary>
    public static IEnumerable<Type> FindClasses()
    {
        Assembly engine = typeof(GrainCatalog).Assembly;
        string engineName = engine.GetName().Name!;
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var open = new Stack<Assembly>(AppDomain.CurrentDomain.GetAssemblies().Where(a => !a.IsDynamic && !IsFramework(a.GetName().Name!)));
        while (open.TryPop(out Assembly? assembly))
        {
            if (assembly == engine || !seen.Add(assembly.FullName!))
            {
                continue;
            }

            bool usesEngine = false;
            foreach (AssemblyName reference in assembly.GetReferencedAssemblies())
            {
                if (reference.Name == engineName)
                {
                    usesEngine = true;
                }
                else if (!IsFramework(reference.Name!) && !seen.Contains(reference.FullName) && TryLoad(reference) is { } loaded)
                {
                    open.Push(loaded);
                }
            }

            if (usesEngine)
            {
                foreach (Type type in assembly.GetTypes().Where(IsGrainClass))
                {
                    yield return type;
                }
            }
        }
    }

    public GrainClass Find(GrainType type) => _byType.TryGetValue(type, out GrainClass? found) ? found
        : throw new ArgumentException($"No grain class has the type \"{type}\".", nameof(type));

    /// <summary>The class behind an interface.</summary>
    /// <exception cref="ArgumentException">There is none, or more than one and no prefix or name that says which.</exception>
    public GrainClass Find(Type interfaceType, string? classNamePrefix = null)
    {
        if (!_byInterface.TryGetValue(interfaceType, out GrainClass[]? candidates))
        {
            throw new ArgumentException($"No grain class implements {interfaceType.FullName}.", nameof(interfaceType));
        }

        if (classNamePrefix is not null)
        {
            candidates = candidates.Where(c => c.Type.FullName!.StartsWith(classNamePrefix, StringComparison.Ordinal)
                || c.GrainType.ToString().StartsWith(classNamePrefix, StringComparison.Ordinal)).ToArray();
        }

        return candidates.Length == 1 ? candidates[0]
            : candidates.SingleOrDefault(c => interfaceType.Name == "I" + c.Type.Name)
            ?? throw new ArgumentException(
                $"{interfaceType.FullName} is implemented by {candidates.Length} grain classes; say which by the prefix of its name.", nameof(interfaceType));
    }

    private static bool IsGrainClass(Type type) =>
        type is { IsClass: true, IsAbstract: false, IsGenericTypeDefinition: false } && typeof(Orleans.IGrain).IsAssignableFrom(type)
        && typeof(Orleans.IGrainBase).IsAssignableFrom(type);

    private static bool IsFramework(string name) =>
        name.StartsWith("System.", StringComparison.Ordinal) || name.StartsWith("Microsoft.", StringComparison.Ordinal)
        || name is "System" or "netstandard" or "mscorlib" || name.StartsWith("xunit", StringComparison.Ordinal);

    private static Assembly? TryLoad(AssemblyName name)
    {
        try
        {
            return Assembly.Load(name);
        }
        catch (Exception e) when (e is FileNotFoundException or FileLoadException or BadImageFormatException)
        {
            return null;   // a reference that is not deployed cannot hold grains that somebody calls
        }
    }
}
