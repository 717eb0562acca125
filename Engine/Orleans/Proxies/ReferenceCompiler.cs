using System.Collections.Concurrent;
using System.Reflection;
using System.Reflection.Emit;
using Orleans.Runtime;

namespace MultiCluster.Engine.Actors;

/// <summary>The generated class behind the references to one grain interface.</summary>
internal sealed record ReferenceClass(Func<GrainReferenceShared, GrainId, GrainReference> Create, GrainMethod[] Methods);

/// <summary>Generates, once per process and grain interface, the class of its references and a class per method that holds a call.</summary>
/// <remarks>
/// A reference's method fills a call object and sends it; the call object invokes the grain through the interface. Neither
/// boxes arguments nor uses reflection.
/// </remarks>
internal static class ReferenceCompiler
{
    private static readonly ConcurrentDictionary<Type, Lazy<ReferenceClass>> Compiled = new();

    public static ReferenceClass For(Type interfaceType) => Compiled.GetOrAdd(interfaceType, static type => new(() => Compile(type))).Value;

    private static ReferenceClass Compile(Type interfaceType)
    {
        MethodInfo[] methods = interfaceType.GetInterfaces().Prepend(interfaceType)
            .SelectMany(i => i.GetMethods(BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance)).Where(m => m.IsAbstract || m.IsVirtual).ToArray();
        AssemblyBuilder assembly = AssemblyBuilder.DefineDynamicAssembly(
            new AssemblyName($"GrainReferences.{interfaceType.FullName}"), AssemblyBuilderAccess.Run);
        ModuleBuilder module = assembly.DefineDynamicModule("Main");
        SeeInternals(assembly, module, interfaceType, methods);

        TypeBuilder reference = module.DefineType(
            "Reference", TypeAttributes.Public | TypeAttributes.Sealed | TypeAttributes.Class, typeof(GrainReference), [interfaceType]);
        EmitConstructor(reference);
        var calls = new Type[methods.Length];
        for (int i = 0; i < methods.Length; i++)
        {
            ThrowIfNotCallable(interfaceType, methods[i]);
            var call = new CallEmitter(module, methods[i], i);
            calls[i] = call.EmitCall();
            call.EmitSend(reference);
        }

        Type finished = reference.CreateType();
        ConstructorInfo constructor = finished.GetConstructor([typeof(GrainReferenceShared), typeof(GrainId)])!;
        var create = new DynamicMethod("Create", typeof(GrainReference), [typeof(GrainReferenceShared), typeof(GrainId)], finished, skipVisibility: true);
        ILGenerator il = create.GetILGenerator();
        il.Emit(OpCodes.Ldarg_0);
        il.Emit(OpCodes.Ldarg_1);
        il.Emit(OpCodes.Newobj, constructor);
        il.Emit(OpCodes.Ret);
        return new ReferenceClass(
            create.CreateDelegate<Func<GrainReferenceShared, GrainId, GrainReference>>(),
            methods.Select((method, i) => new GrainMethod(
                interfaceType, method, method.GetParameters().Select((_, n) => calls[i].GetField(CallEmitter.FieldName(n))!).ToArray())).ToArray());
    }

    private static void EmitConstructor(TypeBuilder reference)
    {
        ConstructorInfo baseConstructor = typeof(GrainReference).GetConstructor(
            BindingFlags.NonPublic | BindingFlags.Instance, [typeof(GrainReferenceShared), typeof(GrainId)])!;
        ILGenerator il = reference.DefineConstructor(
            MethodAttributes.Public, CallingConventions.HasThis, [typeof(GrainReferenceShared), typeof(GrainId)]).GetILGenerator();
        il.Emit(OpCodes.Ldarg_0);
        il.Emit(OpCodes.Ldarg_1);
        il.Emit(OpCodes.Ldarg_2);
        il.Emit(OpCodes.Call, baseConstructor);
        il.Emit(OpCodes.Ret);
    }

    private static void ThrowIfNotCallable(Type interfaceType, MethodInfo method)
    {
        string? fault = method.IsGenericMethodDefinition ? "is generic"
            : method.IsSpecialName ? "belongs to a property or event"
            : method.GetParameters().Any(p => p.ParameterType.IsByRef) ? "has a parameter that is passed by reference"
            : !CallEmitter.CanReturn(method.ReturnType) ? $"returns {method.ReturnType.Name} instead of a Task, ValueTask or IAsyncEnumerable"
            : method.GetParameters().Count(p => p.ParameterType == typeof(CancellationToken)) > 1 ? "takes more than one CancellationToken"
            : null;
        if (fault is not null)
        {
            throw new OrleansConfigurationException($"Grain interface {interfaceType.FullName}: {method.Name} {fault}; it cannot be called from elsewhere.");
        }
    }

    // The runtime lets an assembly with this attribute use the internals of the named one; there the interfaces and our base classes live.
    private static void SeeInternals(AssemblyBuilder assembly, ModuleBuilder module, Type interfaceType, MethodInfo[] methods)
    {
        TypeBuilder attribute = module.DefineType(
            "System.Runtime.CompilerServices.IgnoresAccessChecksToAttribute", TypeAttributes.Public | TypeAttributes.Class, typeof(Attribute));
        ConstructorBuilder constructor = attribute.DefineConstructor(MethodAttributes.Public, CallingConventions.HasThis, [typeof(string)]);
        ILGenerator il = constructor.GetILGenerator();
        il.Emit(OpCodes.Ldarg_0);
        il.Emit(OpCodes.Call, typeof(Attribute).GetConstructor(BindingFlags.NonPublic | BindingFlags.Instance, [])!);
        il.Emit(OpCodes.Ret);
        ConstructorInfo usable = attribute.CreateType().GetConstructor([typeof(string)])!;
        IEnumerable<Type> named = methods.SelectMany(m => m.GetParameters().Select(p => p.ParameterType).Append(m.ReturnType))
            .SelectMany(Parts).Concat(interfaceType.GetInterfaces()).Append(interfaceType).Append(typeof(GrainReference));
        foreach (string name in named.Select(t => t.Assembly.GetName().Name!).Distinct(StringComparer.Ordinal))
        {
            assembly.SetCustomAttribute(new CustomAttributeBuilder(usable, [name]));
        }

        static IEnumerable<Type> Parts(Type type) =>
            type.IsGenericType ? type.GenericTypeArguments.SelectMany(Parts).Append(type) : type.HasElementType ? Parts(type.GetElementType()!) : [type];
    }
}
